import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'

import { Lifespan, lifespanFile } from '../src/lifespan.ts'
import { place } from './support.ts'

const FILE = 'headwater_lifespan.ts'

class Stage {
  readonly said: string[] = []
  readonly lifespan: Lifespan
  opened = 0

  constructor(test: TestContext, source: string, file = FILE) {
    const { project } = place(test, { [file]: source })
    const say = (message: string): void => void this.said.push(message)
    const onOpen = (): void => void this.opened++
    this.lifespan = new Lifespan({ project, logger: {}, say, onEnter: () => undefined, onOpen, enterWithin: 50, leaveWithin: 50 })
  }
}

const GOOD = {
  'a named export': 'export async function* lifespan() { yield 1 }',
  'the default': 'export default async function* () { yield 1 }',
  'a member of the default': 'export default { async *lifespan() { yield 1 } }',
  'a plain generator': 'export function* lifespan() { yield 1 }',
  'a function that gives one': 'const made = async function* () { yield 1 }\nexport const lifespan = () => made()',
}

for (const [kind, source] of Object.entries(GOOD)) {
  test(`a lifespan may be ${kind}`, async (test) => {
    const { lifespan, said } = new Stage(test, source)
    assert.equal(await lifespan.enter(), undefined)
    assert.deepEqual([lifespan.app, lifespan.isOpen], [1, true])
    await lifespan.leave()
    assert.deepEqual([lifespan.app, lifespan.isOpen, said], [undefined, false, []])
  })
}

test('it may be CommonJS', async (test) => {
  const { lifespan } = new Stage(test, 'exports.lifespan = async function* () { yield 1 }', 'headwater_lifespan.js')
  await lifespan.enter()
  assert.equal(lifespan.app, 1)
})

test('those who ask at once wait for one try, and it is entered again once it was left', async (test) => {
  const stage = new Stage(test, 'let n = 0\nexport async function* lifespan() { yield ++n }')
  await Promise.all([stage.lifespan.enter(), stage.lifespan.enter()])
  assert.deepEqual([stage.lifespan.app, stage.opened], [1, 1])
  const left = stage.lifespan.leave()
  await stage.lifespan.enter()
  await left
  assert.deepEqual([stage.lifespan.app, stage.opened], [2, 2])
})

const BAD = {
  'throws': ["export async function* lifespan() { throw new Error('gone') }", `before its yield: Error: gone (${FILE}:1)`],
  'never yields': ['export async function* lifespan() {}', 'before its yield: TypeError: lifespan has ended without a yield'],
  'is no generator': ['export const lifespan = () => 1', 'before its yield: TypeError: lifespan gives a number and no generator'],
  'never ends': ['export async function* lifespan() { await new Promise(() => undefined) }', 'before its yield: it took longer than 0.05 s'],
}

for (const [kind, [source, message]] of Object.entries(BAD)) {
  test(`one that ${kind} is told, and fails who waits`, async (test) => {
    const { lifespan, said } = new Stage(test, source as string)
    const failed = await lifespan.enter()
    assert.match(failed?.message ?? '', /^headwater_lifespan\.ts failed before its yield.*, so nothing can run\.$/)
    assert.deepEqual(said, [`${FILE} failed ${message}`])
    assert.equal(lifespan.isOpen, false)
  })
}

const LEFT_BADLY = {
  'throws': ["export async function* lifespan() { yield 1; throw new Error('gone') }", `Error: gone (${FILE}:1)`],
  'does not end': ['export async function* lifespan() { yield 1; await new Promise(() => undefined) }', 'it took longer than 0.05 s'],
  'yields twice': ['export async function* lifespan() { yield 1; yield 2 }', 'TypeError: lifespan yields more than once'],
}

for (const [kind, [source, message]] of Object.entries(LEFT_BADLY)) {
  test(`one that ${kind} when it is left is told`, async (test) => {
    const { lifespan, said } = new Stage(test, source as string)
    await lifespan.enter()
    await lifespan.leave()
    assert.deepEqual(said, [`${FILE} failed after its yield: ${message}`])
  })
}

test('the file lies in the root', () => {
  assert.equal(lifespanFile(['steps/headwater_lifespan.ts', 'headwater_lifespan.py', 'other.ts']), undefined)
  assert.equal(lifespanFile(['headwater_lifespan.js', 'headwater_lifespan.ts']), 'headwater_lifespan.ts')
})
