import assert from 'node:assert/strict'
import test from 'node:test'

import { Calls } from '../src/calls.ts'
import type { Channel } from '../src/channel.ts'
import type { Header } from '../src/frames.ts'
import { Invocation } from '../src/invocation.ts'
import { makeItem } from '../src/items.ts'
import { makeProgress, type Loop } from '../src/progress.ts'

interface State {
  readonly done: number
  readonly total: number | null
}

/** Settles every call soon, with an error where one is set; the clock moves by hand. */
class Stage {
  now = 0
  readonly written: State[] = []
  readonly told: string[] = []
  code: string | undefined
  open = 0
  mostOpen = 0
  readonly item = makeItem('jobs', 'g', { id: 'a' }, 1)
  readonly invocation: Invocation
  readonly progress: ReturnType<typeof makeProgress>

  constructor() {
    const header = { t: 'invoke', id: 1, kind: 'event', file: 'a', step: 'a', trace: '', flows: [] }
    this.invocation = new Invocation({ header, sections: [], slot: 0 })
    const channel = { timed: (work: () => void) => work(), send: (head: Header, sections: Buffer[]) => this.#take(head, sections) }
    const calls = new Calls(channel as unknown as Channel, 0, () => undefined)
    this.#settle = (header) => calls.settle({ header, sections: [], slot: -1 })
    this.progress = makeProgress({
      calls, invocation: this.invocation, tell: (message) => this.told.push(message), now: () => this.now,
    })
  }

  readonly #settle: (header: Header) => void

  #take({ id, stream, group, item }: Header, sections: Buffer[]): void {
    assert.deepEqual([stream, group, item], ['jobs', 'g', 'a'])
    const [operation] = JSON.parse(String(sections[0])) as { type: string; path: string; value: State }[]
    assert.deepEqual([operation?.type, operation?.path], ['set', 'progress'])
    this.written.push(operation?.value as State)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    const { code } = this
    setImmediate(() => {
      this.open--
      const error = { code, message: 'No.' }
      this.#settle(code === undefined ? { t: 'result', id, ok: true } : { t: 'result', id, ok: false, error })
    })
  }

  get done(): number[] {
    return this.written.map(({ done }) => done)
  }
}

type Run = <T>(loop: Loop<T>, body: (element: T) => unknown) => Promise<void>

const turn = (): Promise<void> => new Promise((done) => setImmediate(done))

const RUNS: Record<string, Run> = {
  'for await': async (loop, body) => {
    for await (const element of loop) body(element)
  },
  for: async (loop, body) => {
    for (const element of loop) {
      body(element)
      await turn()
    }
  },
}

for (const [kind, run] of Object.entries(RUNS)) {
  test(`${kind} writes first, last, and four times a second between`, async () => {
    const stage = new Stage()
    await run(stage.progress([...Array(10).keys()], stage.item), () => (stage.now += 100))
    assert.deepEqual(stage.done, [0, 3, 6, 9, 10])
    assert.deepEqual(stage.written[0], { done: 0, total: 10, percent: 0, rate: null, eta: null })
    assert.deepEqual(stage.written[1], { done: 3, total: 10, percent: 30, rate: 10, eta: 0.7 })
    assert.deepEqual(stage.written.at(-1), { done: 10, total: 10, percent: 100, rate: 10, eta: 0 })
  })

  test(`${kind} knows the length of a set, what it is told, and else none until the end`, async () => {
    const totals: unknown[] = []
    for (const [items, options] of [[new Set([1, 2]), {}], [[1, 2].values(), { total: 2 }], [[1, 2].values(), {}]] as const) {
      const stage = new Stage()
      await run(stage.progress<number>(items, stage.item, options), () => undefined)
      totals.push(stage.written.map(({ total }) => total))
    }
    assert.deepEqual(totals, [[2, 2], [2, 2], [null, 2]])
  })

  test(`${kind} writes its last state before an error goes on`, async () => {
    const stage = new Stage()
    const fail = (element: number): void => {
      if (element === 2) throw new Error('gone')
    }
    await assert.rejects(run(stage.progress([0, 1, 2, 3], stage.item), fail), /gone/)
    assert.deepEqual(stage.done, [0, 2])
  })

  test(`${kind} stops at the next element once the run is cancelled`, async () => {
    const stage = new Stage()
    const seen: number[] = []
    const body = (element: number): void => {
      seen.push(element)
      stage.invocation.cancel()
    }
    await assert.rejects(run(stage.progress([0, 1, 2], stage.item), body), { name: 'AbortError' })
    assert.deepEqual([seen, stage.done], [[0], [0, 1]])
  })
}

test('a first write that is refused ends a for await before it begins', async () => {
  const stage = new Stage()
  stage.code = 'SCHEMA_MISMATCH'
  const run = RUNS['for await'] as Run
  await assert.rejects(run(stage.progress([1], stage.item), () => assert.fail('it ran')), { code: 'SCHEMA_MISMATCH' })
  assert.equal(stage.written.length, 1)
})

test('a write that fails on the way is told, one of a superseded attempt ends the loop', async () => {
  const stage = new Stage()
  const run = RUNS['for await'] as Run
  const failWith = (code: string) => (): void => {
    stage.now += 1000
    stage.code = code
  }
  await run(stage.progress([1], stage.item), failWith('INTERNAL'))
  assert.equal(stage.told.length, 2)
  stage.code = undefined
  await assert.rejects(run(stage.progress([1, 2], stage.item), failWith('RUN_LOST')), { code: 'RUN_LOST' })
})

test('a plain for that never gives way writes less and less often', async () => {
  const stage = new Stage()
  for (const _ of stage.progress(new Array(400).fill(0), stage.item)) stage.now += 100
  assert.deepEqual(stage.done.slice(0, 5), [0, 5, 13, 23, 36])
  assert.ok(stage.mostOpen < 20)
  assert.equal(stage.done.at(-1), 400)
})

test('elements may come asynchronously, and then want a for await', async () => {
  const stage = new Stage()
  const items = async function* (): AsyncGenerator<number> {
    yield 1
  }
  for await (const element of stage.progress(items(), stage.item)) assert.equal(element, 1)
  assert.throws(() => [...stage.progress(items(), stage.item)], /for await/)
})

test('it takes only items of streams, and what has elements', () => {
  const stage = new Stage()
  assert.throws(() => stage.progress([], { id: 'a' }), /item that a stream gave/)
  assert.throws(() => stage.progress(3 as never, stage.item), /cannot iterate/)
})
