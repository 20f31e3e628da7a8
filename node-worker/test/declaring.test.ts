import assert from 'node:assert/strict'
import test from 'node:test'

import { declare } from '../src/declaring.ts'
import { place } from './support.ts'

test('each file is told before it is imported, and goes into the manifest once its top level has ended', async (t) => {
  const { project } = place(t, {
    'steps/a.step.ts': "export const config = { type: 'noop', name: 'quick' }",
    'steps/b.step.ts': "await (globalThis as any).turn\nexport const config = { type: 'noop', name: 'slow' }",
  })
  const told: string[] = []
  Object.assign(globalThis, { turn: new Promise<void>((go) => Object.assign(globalThis, { go })) })
  const { steps, problems } = await declare(project, (path) => {
    told.push(path)
    if (path === 'steps/b.step.ts') setTimeout(() => (globalThis as any).go())
  })
  assert.deepEqual(told, ['steps/a.step.ts', 'steps/b.step.ts'])
  assert.deepEqual(steps.map(({ config }) => (config as { name: string }).name), ['quick', 'slow'])
  assert.deepEqual(problems, [])
})

const LIFESPANS = {
  'no such function': ['export const other = 1', 'LIFESPAN_INVALID', undefined],
  'no yield': ['// why\nexport const lifespan = async () => 1', 'LIFESPAN_INVALID', 2],
  'an error': ["\nthrow new Error('gone')", 'IMPORT_FAILED', 2],
  'no syntax': ['\nexport const = 1', 'SYNTAX_ERROR', 2],
} as const

for (const [kind, [source, code, line]] of Object.entries(LIFESPANS)) {
  test(`a lifespan with ${kind} is a problem`, async (t) => {
    const { project } = place(t, { 'headwater_lifespan.ts': source })
    const { steps, problems } = await declare(project, () => undefined)
    assert.deepEqual(steps, [])
    assert.deepEqual(problems.map(({ file, code, line }) => [file, code, line]), [['headwater_lifespan.ts', code, line]])
  })
}

const STREAM_AUTHS = {
  'of the default export': ['\nexport default { plugins: [],\n streamAuth: { authenticate: () => null } }', undefined, 3],
  'of an export named config': ['export const config = { streamAuth: { authenticate() {} } }', undefined, 1],
  'of module.exports': ['module.exports = { streamAuth: { authenticate() {} } }', undefined, 1],
  'that is not there': ['export const authenticate = () => ({})\nexport default {}', 'AUTH_INVALID', undefined],
  'without a function': ['export default { streamAuth: { authenticate: 1 } }', 'AUTH_INVALID', 1],
  'whose file fails': ["import 'nowhere'\nexport default { streamAuth: {} }", 'IMPORT_FAILED', undefined],
} as const

for (const [kind, [source, code, line]] of Object.entries(STREAM_AUTHS)) {
  test(`a streamAuth ${kind} says who follows streams, or is a problem`, async (t) => {
    const { project } = place(t, { 'motia.config.ts': source }, {}, 'motia.config.ts')
    const { auth, problems } = await declare(project, () => undefined)
    assert.deepEqual(auth.map(({ file, line }) => [file, line]), code === undefined ? [['motia.config.ts', line]] : [])
    assert.deepEqual(problems.map(({ file, code }) => [file, code]), code === undefined ? [] : [['motia.config.ts', code]])
  })
}

test('a configuration that the server does not name is not run', async (t) => {
  const { project } = place(t, { 'motia.config.ts': "throw new Error('never run')" })
  const { auth, problems } = await declare(project, () => undefined)
  assert.deepEqual([auth, problems], [[], []])
})
