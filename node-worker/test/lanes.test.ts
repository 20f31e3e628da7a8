import assert from 'node:assert/strict'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'

import { Lanes } from '../src/lanes.ts'
import type { Packed } from '../src/posts.ts'
import { Shared } from '../src/shared.ts'
import { loadOf } from './support.ts'

/** Lanes that write what they send into a file instead of a socket. */
class Stage {
  readonly shared = new Shared()
  readonly lanes: Lanes
  readonly lost: string[] = []
  readonly #file: string
  #slot = 0

  constructor(test: TestContext, source: string) {
    const root = mkdtempSync(join(tmpdir(), 'lanes-'))
    test.after(() => rmSync(root, { recursive: true, force: true }))
    this.#file = join(root, 'sent')
    const parts = { fd: openSync(this.#file, 'a'), limit: 1 << 20, memory: this.shared.buffer }
    this.lanes = new Lanes(parts, this.shared, (_, error) => this.lost.push(error.message), 1)
    const { header, sections } = loadOf(root, { 'steps/a.step.ts': source })
    this.lanes.load = [-1, JSON.stringify(header), ...sections]
  }

  /** Run the step, and give the text that it answers. */
  async run(): Promise<string> {
    const slot = this.#slot++
    const call = { t: 'invoke', id: slot, kind: 'api', file: 'steps/a.step.ts', step: 'a', trace: '', flows: [] }
    this.shared.fill(slot)
    this.lanes.give([slot, JSON.stringify({ ...call, thread: true, request: {} }), ''] satisfies Packed)
    const answer = new RegExp(`"t":"result","id":${slot},.*?"sections":\\[(\\d+)\\]\\}(.*)`, 's')
    for (;;) {
      const [, length, rest] = answer.exec(readFileSync(this.#file, 'utf8')) ?? []
      if (rest !== undefined) return rest.slice(0, Number(length))
      assert.deepEqual(this.lost, [])
      await new Promise((wake) => setTimeout(wake, 2))
    }
  }
}

/** Keeps its thread alive as long as the project is there. */
const ALIVE = `
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
const alive = setInterval(() => existsSync(dirname(import.meta.dirname)) || clearInterval(alive), 20)
`

const SOURCE = `
import { threadId } from 'node:worker_threads'
export const config = { type: 'api', name: 'a' }
export const handler = () => ({ status: 200, body: String(threadId) })
`

test('a thread that user code keeps alive is given work again, however often it has been idle', async (t) => {
  const stage = new Stage(t, ALIVE + SOURCE)
  const first = await stage.run()
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((wake) => setTimeout(wake, 20))
    assert.equal(await stage.run(), first)
  }
})

test('work that is given to a thread in the moment in which it ends is done by another', async (t) => {
  const stage = new Stage(t, SOURCE)
  const threads = new Set<string>()
  // Longer and longer pauses, until threads have ended: some work meets one that ends.
  for (let pause = 0; threads.size < 3; pause++) {
    threads.add(await stage.run())
    await new Promise((wake) => setTimeout(wake, pause))
  }
  assert.deepEqual(stage.lost, [])
})
