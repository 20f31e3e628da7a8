import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { Client, connect, type Item, type Options, Refused, Stream } from '../src/index.ts'
import { peer, type PeerSocket } from './peer.ts'

interface Todo extends Item {
  text: string
}

const A: [number, number, Todo] = [1, 1, { id: 'a', text: 'one' }]
const B: [number, number, Todo] = [2, 2, { id: 'b', text: 'two' }]

let server: ReturnType<typeof peer>
let clients: Client[] = []

function open(options: Options = {}): Client {
  const client = connect('http://server', { WebSocket: server.WebSocket, ...options })
  clients.push(client)
  return client
}

/** Lets promises settle and timers that are due run. */
const pass = (ms = 1) => vi.advanceTimersByTimeAsync(ms)

async function accepted(ping?: number): Promise<PeerSocket> {
  await pass()
  return server.last.accept(ping)
}

beforeEach(() => {
  server = peer()
  vi.useFakeTimers()
})

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('state', () => {
  test('a group is empty, then whole, then live; listeners hear of each burst once', async () => {
    const group = open().group<Todo>('todo', 'g')
    const heard: (readonly Todo[])[] = []
    group.addChangeListener((state) => heard.push(state))
    expect([group.getState(), group.ready, group.status]).toEqual([[], false, 'connecting'])
    const socket = await accepted()
    expect(group.status).toBe('behind')
    socket.fill(1, [A, B])
    await pass()
    expect([heard, group.ready, group.status]).toEqual([[[A[2], B[2]]], true, 'live'])
    socket.say({ t: 'gone', f: 101, v: 3, i: 'a' }, { t: 'gone', f: 101, v: 4, i: 'b' })
    await pass()
    expect(heard.slice(1)).toEqual([[]])
  })

  test('an empty group is told of too', async () => {
    const heard = vi.fn()
    open().group('todo', 'g').addChangeListener(heard)
    ;(await accepted()).fill(1, [])
    await pass()
    expect(heard.mock.calls).toEqual([[[]]])
  })

  test('an unchanged item keeps its identity over changes, catch-ups and resets; so does the list', async () => {
    const group = open().group<Todo>('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A, B])
    const [a, b] = group.getState()
    expect(group.getState()).toBe(group.getState())
    socket.say({ t: 'set', f: 101, v: 3, c: 1, d: { id: 'a', text: 'new', deep: { same: 1 } } })
    expect(group.getState()[0]).not.toBe(a)
    expect(group.getState()[1]).toBe(b)
    const before = group.getState()
    socket.say({ t: 'behind', sub: 1 }, { t: 'complete', sub: 1, v: 3 })
    expect(group.getState()).toBe(before)
    socket.say(
      { t: 'reset', sub: 1, reason: 'epoch', epoch: 'other' },
      { t: 'page', sub: 1, v: 2, items: [[1, 1, structuredClone(before[0])], [2, 2, structuredClone(before[1])]] },
      { t: 'complete', sub: 1, v: 2 },
    )
    expect(group.getState()).toBe(before)
  })

  test('what did not change inside an item stays the same object', async () => {
    const item = open().item<any>('todo', 'g', 'a')
    const socket = await accepted()
    socket.fill(1, [[1, 1, { id: 'a', left: { n: 1 }, right: { n: 1 } }]])
    const before = item.getState()
    socket.say({ t: 'patch', f: 101, v: 2, i: 'a', o: [['s', ['left', 'n'], 2]] })
    expect(item.getState().right).toBe(before.right)
    socket.say({ t: 'set', f: 101, v: 3, c: 1, d: { id: 'a', left: { n: 2 }, right: { n: 3 } } })
    expect(item.getState().left).toEqual({ n: 2 })
    expect(before).toEqual({ id: 'a', left: { n: 1 }, right: { n: 1 } })
  })

  test('a whole number that a double cannot hold keeps its digits', async () => {
    const store = new Map<string, string>()
    const keep = { getItem: (name: string) => store.get(name) ?? null, setItem: (name: string, text: string) => void store.set(name, text), removeItem: (name: string) => void store.delete(name) }
    const item = open({ keep }).item<any>('todo', 'g', 'a')
    const socket = await accepted()
    socket.say({ t: 'subscribed', sub: 1, f: 101, epoch: 'e' })
    socket.onmessage!({ data: '{"t":"page","sub":1,"v":1,"items":[[1,1,{"id":"a","n":1161380288898609914,"m":1152921504606846976,"text":"1161380288898609914"}]]}' })
    socket.say({ t: 'complete', sub: 1, v: 1 })
    expect(item.getState()).toEqual({ id: 'a', n: 1161380288898609914n, m: 2 ** 60, text: '1161380288898609914' })
    void item.optimistic('a', (one: any) => ({ ...one, n: one.n + 1n }), Promise.resolve())
    expect(item.getState().n).toBe(1161380288898609915n)
  })

  test('a sort key sorts, numbers by size, without touching what others see', async () => {
    const client = open()
    const sorted = client.group<any>('todo', 'g', { sortKey: 'n' })
    const plain = client.group<any>('todo', 'g')
    ;(await accepted()).fill(1, [[1, 1, { id: 'a', n: 10 }], [2, 2, { id: 'b', n: 9 }], [3, 3, { id: 'c' }]])
    expect(sorted.getState().map(({ id }) => id)).toEqual(['b', 'a', 'c'])
    expect(plain.getState().map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(sorted.getState()).toBe(sorted.getState())
  })

  test('an event comes after the change that it follows', async () => {
    const group = open().group<Todo>('todo', 'g')
    const heard: string[] = []
    group.addChangeListener((state) => heard.push(`state ${state.length}`))
    const wave = (data: unknown) => heard.push(`wave ${data}`)
    group.onEvent('wave', wave)
    const socket = await accepted()
    socket.fill(1, [A])
    socket.say({ t: 'event', f: 101, e: { type: 'wave', data: 1 } }, { t: 'event', f: 101, e: { type: 'other', data: 2 } })
    group.offEvent('wave', wave)
    socket.say({ t: 'event', f: 101, e: { type: 'wave', data: 3 } })
    await pass()
    expect(heard).toEqual(['state 1', 'wave 1'])
  })

  test('a window loads older items, also when it is asked too early', async () => {
    const group = open().group<Todo>('todo', 'g', { limit: 1 })
    const socket = await accepted()
    socket.fill(1, [B], 2, { floor: 2 })
    socket.say({ t: 'behind', sub: 1 })
    const loading = group.loadMore(5)
    expect(socket.of('more')).toEqual([])
    socket.say({ t: 'complete', sub: 1, v: 2, floor: 2 })
    expect(socket.of('more')).toEqual([{ t: 'more', sub: 1, limit: 5, floor: 2 }])
    socket.say({ t: 'page', sub: 1, v: 2, items: [A], older: true }, { t: 'complete', sub: 1, v: 2, floor: 0 })
    await pass()
    await loading
    expect([group.getState(), group.hasMore]).toEqual([[A[2], B[2]], false])
    await group.loadMore()
    expect(socket.of('more')).toHaveLength(1)
  })
})

describe('cancelling', () => {
  test('an item, by itself or out of its group, resolves once the server has accepted it', async () => {
    const client = open()
    const [group, item] = [client.group('todo', 'g'), client.item('todo', 'g', 'a')]
    const socket = await accepted()
    const done: string[] = []
    void group.cancel('b').then(() => done.push('b'))
    void item.cancel().then(() => done.push('a'))
    await pass()
    expect(socket.of('cancel')).toEqual([
      { t: 'cancel', sub: 1, id: 'b', ask: 3 },
      { t: 'cancel', sub: 2, ask: 4 },
    ])
    expect(done).toEqual([])
    socket.say({ t: 'ok', sub: 2, ask: 4 })
    await pass()
    expect(done).toEqual(['a'])
    socket.say({ t: 'ok', sub: 1, ask: 3 })
    await pass()
    expect(done).toEqual(['a', 'b'])
  })

  test('a refusal is an error with its code, and the subscription lives on', async () => {
    const item = open().item('todo', 'g', 'a')
    const socket = (await accepted()).fill(1, [A])
    const cancelled = item.cancel()
    socket.say({ t: 'error', sub: 1, ask: 2, code: 'RUN_UNKNOWN', message: 'nobody', hint: 'look', id: 'a' })
    await expect(cancelled).rejects.toMatchObject({ name: 'Refused', code: 'RUN_UNKNOWN', message: 'nobody', hint: 'look' })
    await expect(cancelled).rejects.toBeInstanceOf(Refused)
    expect([item.error, item.status, item.getState()]).toEqual([undefined, 'live', A[2]])
  })

  test('without a connection nobody is asked, then or later', async () => {
    const group = open().group('todo', 'g')
    await expect(group.cancel('a')).rejects.toMatchObject({ code: 'OFFLINE' })
    const socket = (await accepted()).fill(1, [A])
    const lost = expect(group.cancel('a')).rejects.toMatchObject({ code: 'OFFLINE' })
    socket.break()
    await lost
    await pass(1000)
    expect(server.last).not.toBe(socket)
    expect(server.last.accept().of('cancel')).toEqual([])
    group.close()
    await expect(group.cancel('a')).rejects.toMatchObject({ code: 'OFFLINE', message: 'the subscription is closed' })
  })

  test('of a subscription that the server refuses, that is the reason', async () => {
    const warned = vi.spyOn(console, 'warn').mockReturnValue()
    const group = open().group('none', 'g')
    const socket = await accepted()
    const early = expect(group.cancel('a')).rejects.toMatchObject({ code: 'STREAM_UNKNOWN' })
    socket.say({ t: 'error', sub: 1, code: 'STREAM_UNKNOWN', message: 'no', ended: true })
    socket.say({ t: 'error', sub: 1, ask: 2, code: 'INVALID_INPUT', message: 'not open' })
    await early
    await expect(group.cancel('a')).rejects.toMatchObject({ code: 'STREAM_UNKNOWN' })
    expect(socket.of('cancel')).toHaveLength(1)
    warned.mockRestore()
  })
})

describe('sharing', () => {
  test('two who load older items of one window get those of both', async () => {
    const client = open()
    const first = client.group<Todo>('todo', 'g', { limit: 1 })
    const second = client.group<Todo>('todo', 'g', { limit: 1 })
    const socket = await accepted()
    socket.fill(1, [[9, 9, { id: 'i', text: '' }]], 9, { floor: 9 })
    void first.loadMore(3)
    const done = second.loadMore(2)
    const older = (...ids: number[]) => ({ t: 'page', sub: 1, v: 9, older: true, items: ids.map((n) => [n, n, { id: `${n}` }]) })
    socket.say(older(6, 7, 8), { t: 'complete', sub: 1, v: 9, floor: 6 })
    expect(socket.of('more').map(({ limit }) => limit)).toEqual([3, 2])
    socket.say(older(4, 5), { t: 'complete', sub: 1, v: 9, floor: 4 })
    await pass()
    await done
    expect(socket.of('more')).toHaveLength(2)
  })

  test('who asks for the same shares one subscription; the last one ends it', async () => {
    const client = open()
    const first = client.group('todo', 'g')
    const second = client.group('todo', 'g')
    const socket = await accepted()
    expect(socket.of('sub')).toHaveLength(1)
    first.close()
    await pass()
    expect(socket.of('unsub')).toEqual([])
    second.close()
    second.open().close()
    await pass()
    expect(socket.of('unsub')).toEqual([{ t: 'unsub', sub: 1 }])
  })

  test('what is closed goes on showing what it held, also while others follow the same', async () => {
    const client = open()
    const closed = client.group<Todo>('todo', 'g')
    const other = client.group<Todo>('todo', 'g')
    const item = client.item<Todo>('todo', 'g', 'a')
    ;(await accepted()).fill(1, [A]).fill(2, [A])
    closed.close()
    item.close()
    server.last.say({ t: 'gone', f: 101, v: 2, i: 'a' })
    await pass()
    expect([closed.getState(), closed.ready, closed.version, item.getState()]).toEqual([[A[2]], true, 1, A[2]])
    expect([other.getState(), closed.open().getState(), closed.version]).toEqual([[], [], 2])
  })

  test('whoever gives a presence state has a subscription of its own, and leaves at once', async () => {
    const client = open()
    client.group('room', 'g')
    const ada = client.group('room', 'g', { state: { name: 'ada' } })
    const socket = await accepted()
    expect(socket.of('sub').map(({ state }) => state)).toEqual([undefined, { name: 'ada' }])
    ada.setPresence({ name: 'ada', typing: true })
    ada.close()
    expect(socket.sent.slice(2)).toEqual([{ t: 'state', sub: 2, state: { name: 'ada', typing: true }, ask: 3 }, { t: 'unsub', sub: 2 }])
  })

  test('a listener may end its own subscription and others', async () => {
    const client = open()
    const group = client.group('todo', 'g')
    const other = client.group('todo', 'g')
    group.addChangeListener(() => (group.close(), other.close()))
    ;(await accepted()).fill(1, [A])
    await pass()
    expect(server.last.of('unsub')).toHaveLength(1)
  })
})

test('a listener that throws disturbs neither others nor the connection, and is heard of', async () => {
  const client = open()
  const group = client.group<Todo>('todo', 'g')
  const socket = await accepted()
  const heard = vi.fn()
  const thrower = () => {
    throw new Error('by a listener')
  }
  for (const listener of [thrower, heard]) {
    group.addChangeListener(listener)
    group.onEvent('wave', listener)
    group.subscribe(listener)
    group.onClose(listener)
  }
  client.onStatus(vi.fn().mockReturnValueOnce(undefined).mockImplementation(thrower))
  client.onStatus(heard)
  heard.mockClear()
  socket.fill(1, [A])
  socket.say({ t: 'event', f: 101, e: { type: 'wave', data: 'hello' } })
  group.close()
  expect([socket.closed, client.status]).toEqual([false, 'live'])
  expect(heard.mock.calls).toEqual([['live', ''], [[A[2]]], [], ['hello'], []])
  expect(() => vi.runAllTimers()).toThrow('by a listener')
})

describe('one bad input', () => {
  let warned: ReturnType<typeof vi.spyOn>
  beforeEach(() => {
    warned = vi.spyOn(console, 'warn').mockReturnValue()
  })
  afterEach(() => warned.mockRestore())

  /** What a later connection asks for. */
  async function again(socket: PeerSocket) {
    socket.break()
    await pass(1000)
    return server.last.accept().of('sub').map(({ group, state }) => [group, state])
  }

  test('a presence state that is no JSON is refused where it is given', async () => {
    const client = open()
    const socket = await accepted()
    const circular: Record<string, unknown> = {}
    circular.self = circular
    for (const state of [circular, [1], 'ada', () => {}] as any[]) {
      expect(() => client.group('room', 'bad', { state })).toThrow(Refused)
    }
    const good = client.group('room', 'good', { state: { n: 1 } })
    expect(() => good.setPresence(undefined as never)).toThrow(/nothing/)
    expect(await again(socket)).toEqual([['good', { n: 1 }]])
  })

  test('what is changed of a presence state after it was given is not said', async () => {
    const client = open()
    const state: Record<string, unknown> = { n: 1 }
    client.group('room', 'g', { state })
    const socket = await accepted()
    state.n = 2n
    expect(await again(socket)).toEqual([['g', { n: 1 }]])
  })

  test('one that is too large ends its subscription, and a change to one is not made', async () => {
    const client = open()
    const socket = await accepted()
    const picture = 'x'.repeat(1_100_000)
    const big = client.group('room', 'big', { state: { picture } })
    const good = client.group('room', 'good', { state: { n: 1 } })
    const refused = expect(good.setPresence({ picture })).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect([big.error?.code, big.status, good.error]).toEqual(['TOO_LARGE', 'offline', undefined])
    await refused
    expect(await again(socket)).toEqual([['good', { n: 1 }]])
  })

  test('who gives a presence state is told what the server says of it', async () => {
    const group = open().group('room', 'g', { state: { n: 1 } })
    const socket = await accepted()
    const taken = group.setPresence({ n: 2 })
    const refused = expect(group.setPresence({ n: 3 })).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH', message: 'no' })
    const unsaid = group.setPresence({ n: 4 })
    const [two, three] = socket.of('state')
    socket.say({ t: 'ok', sub: 1, ask: two!.ask }, { t: 'error', sub: 1, ask: three!.ask, code: 'SCHEMA_MISMATCH', message: 'no' })
    expect(await taken).toBeUndefined()
    await refused
    expect(warned).toHaveBeenCalledWith('headwater: presence in room: SCHEMA_MISMATCH: no')
    expect(group.error).toBeUndefined()
    // What a connection took along is said by the next one.
    expect(await again(socket)).toEqual([['g', { n: 4 }]])
    expect(await unsaid).toBeUndefined()
  })

  test('how large a message may be is told by the server', async () => {
    const client = open()
    ;(await accepted()).say({ t: 'hello', epoch: 'e', ping: 20, max: 200 })
    const [big, good] = [client.group('room', 'x'.repeat(300)), client.group('room', 'g')]
    expect([big.error?.code, good.error]).toEqual(['TOO_LARGE', undefined])
  })

  test('half of a character becomes U+FFFD in a state, and is refused in a name', async () => {
    const client = open()
    const socket = await accepted()
    client.group('room', 'g', { state: { name: 'Grace 😀'.slice(0, 7), '\udc00': '\\ud83d', whole: '😀' } })
    const named = [client.group('room', '\ud83d'), client.item('room', 'g', 'a\ude00')]
    expect(named.map(({ error }) => error?.code)).toEqual(['INVALID_INPUT', 'INVALID_INPUT'])
    expect(await again(socket)).toEqual([['g', { name: 'Grace \ufffd', '\ufffd': '\\ud83d', whole: '😀' }]])
  })

  test('an id is text; whole numbers become it, and nothing else', async () => {
    const client = open()
    const socket = await accepted()
    client.item('room', 7 as any, 42 as any)
    const refused = [NaN, 1.5, Infinity, 2 ** 60, '', true, null].map((id) => client.item('room', 'g', id as any).error?.code)
    expect(new Set(refused)).toEqual(new Set(['INVALID_INPUT']))
    const limits = [NaN, 0, -1, 2.5].map((limit) => client.group('room', 'g', { limit }).error?.code)
    expect(new Set(limits)).toEqual(new Set(['INVALID_INPUT']))
    expect(socket.of('sub')).toEqual([{ t: 'sub', sub: 1, stream: 'room', group: '7', id: '42' }])
  })
})

test('a subscription to a stream that is not there yet begins when it is', async () => {
  const warned = vi.spyOn(console, 'warn').mockReturnValue()
  const client = open()
  const group = client.group<Todo>('later', 'g')
  const told = vi.fn()
  group.subscribe(told)
  const socket = await accepted()
  socket.say({ t: 'error', sub: 1, code: 'STREAM_UNKNOWN', message: 'no', ended: true })
  expect([group.error?.code, group.status]).toEqual(['STREAM_UNKNOWN', 'offline'])
  socket.say({ t: 'appeared', sub: 1 }, { t: 'appeared', sub: 1 })
  expect(socket.of('sub').slice(1)).toEqual([{ t: 'sub', sub: 2, stream: 'later', group: 'g' }])
  expect([group.error, group.status]).toEqual([undefined, 'behind'])
  socket.say({ t: 'error', sub: 2, code: 'STREAM_UNKNOWN', message: 'gone again', ended: true })
  socket.break()
  await pass(1000)
  server.last.accept().fill(3, [A])
  await pass()
  expect([group.status, group.getState()]).toEqual(['live', [A[2]]])
  expect(told).toHaveBeenCalled()
  warned.mockRestore()
})

test('loading more settles, whatever becomes of the subscription', async () => {
  const warned = vi.spyOn(console, 'warn').mockReturnValue()
  const client = open()
  const groups = ['a', 'b', 'c'].map((name) => client.group<Todo>('todo', name, { limit: 1 }))
  const socket = await accepted()
  for (const sub of [1, 2, 3]) socket.fill(sub, [B], 2, { floor: 2 })
  const loading = groups.map((group) => group.loadMore())
  groups[0]!.close()
  await loading[0]
  socket.say({ t: 'error', sub: 2, code: 'REVOKED', message: 'no', ended: true })
  await pass()
  await loading[1]
  client.close()
  await loading[2]
  await groups[2]!.loadMore()
  await groups[0]!.loadMore()
  await groups[2]!.loadMore(NaN)
  warned.mockRestore()
})

describe('optimistic changes', () => {
  async function todo() {
    const group = open().group<Todo>('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A, B])
    return { group, socket, texts: () => group.getState().map(({ text }) => text) }
  }
  const shout = (item?: Todo): Todo => ({ id: '', ...item, text: `${item?.text}!` })

  test('may change what they get in place, which nobody else sees', async () => {
    const { group, socket, texts } = await todo()
    const before = group.getState()[0]
    const shouted = (item?: Todo) => Object.assign(item!, { text: `${item!.text}!` })
    await group.optimistic('a', shouted, Promise.reject(new Error('no')))
    expect([before?.text, ...texts()]).toEqual(['one', 'one', 'two'])
    void group.optimistic('a', shouted, new Promise(() => {}))
    socket.say({ t: 'set', f: 101, v: 3, c: 2, d: { id: 'b', text: 'zwei' } })
    expect(texts()).toEqual(['one!', 'zwei'])
  })

  test('that fail at once leave no rejected write behind', async () => {
    const { group, texts } = await todo()
    const fail = () => {
      throw new Error('at once')
    }
    await expect(group.optimistic('a', fail, Promise.reject(new Error('no')))).rejects.toThrow('at once')
    expect(texts()).toEqual(['one', 'two'])
  })

  test('are shown at once, and give way to the item when it comes', async () => {
    const { group, socket, texts } = await todo()
    let resolve = () => {}
    void group.optimistic('a', shout, new Promise<void>((done) => (resolve = done)))
    expect(texts()).toEqual(['one!', 'two'])
    socket.say({ t: 'set', f: 101, v: 3, c: 2, d: { id: 'b', text: 'zwei' } })
    expect(texts()).toEqual(['one!', 'zwei'])
    resolve()
    await pass()
    expect(texts()).toEqual(['one!', 'zwei'])
    socket.say({ t: 'set', f: 101, v: 4, c: 1, d: { id: 'a', text: 'eins' } })
    await pass()
    expect(texts()).toEqual(['eins', 'zwei'])
  })

  test('stay over changes by others until the version of the write is here', async () => {
    const { group, socket, texts } = await todo()
    void group.optimistic('a', shout, Promise.resolve(5))
    await pass()
    socket.say({ t: 'set', f: 101, v: 4, c: 1, d: { id: 'a', text: 'by another' } })
    await pass()
    expect(texts()).toEqual(['by another!', 'two'])
    socket.say({ t: 'set', f: 101, v: 5, c: 1, d: { id: 'a', text: 'mine' } })
    await pass()
    expect(texts()).toEqual(['mine', 'two'])
  })

  test('are taken back when the write fails', async () => {
    const { group, texts } = await todo()
    const heard: unknown[] = []
    group.addChangeListener((state) => heard.push(state.length))
    const done = group.optimistic('a', () => undefined, Promise.reject(new Error('no')))
    expect(texts()).toEqual(['two'])
    await done
    expect(texts()).toEqual(['one', 'two'])
    expect(heard).toEqual([1, 2])
  })

  test('are taken back when the answer is no', async () => {
    const { group, texts } = await todo()
    const refused = group.optimistic('a', shout, Promise.resolve(new Response('', { status: 409 })))
    expect(texts()).toEqual(['one!', 'two'])
    await refused
    expect(texts()).toEqual(['one', 'two'])
    await group.optimistic('a', shout, Promise.resolve(new Response('{}')))
    expect(texts()).toEqual(['one!', 'two'])
  })

  const shown = (group: { addChangeListener(listener: (state: readonly any[]) => void): void }, of: (state: readonly any[]) => unknown) => {
    const seen: unknown[] = []
    group.addChangeListener((state) => seen.push(of(state)))
    return seen
  }
  const counter = (n: number): [number, number, any] => [1, 1, { id: 'x', n }]
  const more = (item: any) => ({ ...item, n: item.n + 1 })
  const answered = (items?: string) => new Response('{}', { headers: items === undefined ? {} : { 'x-headwater-items': items } })

  test('are not shown over a state that has them already', async () => {
    const group = open().group<any>('todo', 'g')
    const socket = (await accepted()).fill(1, [counter(7)])
    await pass()
    const seen = shown(group, ([item]) => item.n)
    for (const [v, answer] of [[2, answered('todo/h/x@9, todo/g/x@2')], [3, answered()], [4, undefined]] as const) {
      let resolve: (value: unknown) => void = () => {}
      void group.optimistic('x', more, new Promise((done) => (resolve = done)))
      socket.say({ t: 'patch', f: 101, v, i: 'x', o: [['s', ['n'], 6 + v]] })
      await pass()
      expect(group.getState()[0].n).toBe(6 + v)
      resolve(answer)
      await pass(1000)
    }
    expect(new Set(seen)).toEqual(new Set([8, 9, 10]))
    socket.say({ t: 'patch', f: 101, v: 5, i: 'x', o: [['s', ['n'], 100]] })
    await pass()
    expect(group.getState()[0].n).toBe(100)
  })

  test.each([true, false])('never go backwards when many are under way (versions told: %s)', async (told) => {
    const group = open().group<any>('todo', 'g')
    const socket = (await accepted()).fill(1, [counter(0)])
    await pass()
    const seen = shown(group, ([item]) => item.n) as number[]
    const resolves: ((value: unknown) => void)[] = []
    for (let n = 0; n < 10; n++) {
      void group.optimistic('x', more, new Promise((done) => resolves.push(done)))
      await pass(5)
      if (n % 2) {
        // The server's words come before its answers, two of them as one.
        socket.say({ t: 'patch', f: 101, v: n + 2, i: 'x', o: [['s', ['n'], n + 1]] })
        await pass(5)
        for (const at of [n, n - 1]) resolves[at]!(answered(told ? `todo/g/x@${at + 2}` : undefined))
        await pass(1)
      }
    }
    await pass(1000)
    expect(seen.filter((one, at) => one < seen[at - 1]!)).toEqual([])
    expect([Math.max(...seen), group.getState()[0].n]).toEqual([10, 10])
  })

  test('give way to the server where an answer takes long', async () => {
    const group = open().group<any>('todo', 'g')
    const socket = (await accepted()).fill(1, [[1, 1, { id: 'x', text: '' }]])
    void group.optimistic('x', (item) => ({ ...item, text: 'thinking' }), new Promise(() => {}))
    socket.say({ t: 'patch', f: 101, v: 2, i: 'x', o: [['a', ['text'], 'The answer']] })
    await pass(400)
    expect(group.getState()).toEqual([{ id: 'x', text: 'The answer' }])
  })

  test('of an item whose id the server makes are not shown beside it', async () => {
    const group = open().group<any>('todo', 'g')
    const socket = (await accepted()).fill(1, [A])
    await pass()
    const seen = shown(group, (state) => state.filter(({ text }) => text === 'hi').length)
    let resolve: (value: unknown) => void = () => {}
    const add = (item: object) => void group.optimistic('temporary', () => ({ id: '', text: 'hi', ...item }), new Promise((done) => (resolve = done)))
    // It holds what is shown: it is known at once, however long the answer takes.
    add({ by: 'me' })
    socket.say({ t: 'set', f: 101, v: 2, c: 2, d: { id: 'made', text: 'hi', by: 'me', at: 5 } })
    expect(group.getState().map(({ id }) => id)).toEqual(['a', 'made'])
    await pass(1000)
    resolve(answered('todo/g/made@2'))
    await pass()
    socket.say({ t: 'gone', f: 101, v: 3, i: 'made' })
    await pass()
    // It does not: the answer tells.
    add({ sending: true })
    socket.say({ t: 'set', f: 101, v: 4, c: 4, d: { id: 'other', text: 'hi' } })
    expect(group.getState().map(({ id }) => id)).toEqual(['a', 'temporary'])
    await pass(100)
    resolve(answered('todo/g/other@4'))
    await pass()
    expect(group.getState().map(({ id }) => id)).toEqual(['a', 'other'])
    expect(seen).not.toContain(2)
  })

  test('that fail are refused at first, and later end alone', async () => {
    const warned = vi.spyOn(console, 'warn').mockReturnValue()
    const { group, socket, texts } = await todo()
    const fail = (item?: Todo) => ({ ...item!, text: item!.text.toUpperCase() })
    await expect(group.optimistic('nobody', fail, Promise.resolve())).rejects.toThrow(TypeError)
    void group.optimistic('a', fail, Promise.resolve(99))
    await pass()
    expect(texts()).toEqual(['ONE', 'two'])
    socket.say({ t: 'gone', f: 101, v: 3, i: 'a' }, { t: 'set', f: 101, v: 4, c: 4, d: { id: 'c', text: 'three' } })
    await pass()
    expect(texts()).toEqual(['two', 'three'])
    group.close()
    await expect(group.optimistic('b', fail, Promise.resolve())).rejects.toMatchObject({ code: 'OFFLINE' })
    warned.mockRestore()
  })

  test('create and delete, and leave in the end whatever the server does', async () => {
    const { group, texts } = await todo()
    void group.optimistic('c', () => ({ id: 'c', text: 'three' }), Promise.resolve())
    void group.optimistic('b', () => undefined, Promise.resolve(99))
    expect(texts()).toEqual(['one', 'three'])
    await pass(11_000)
    expect(texts()).toEqual(['one', 'two'])
  })
})

describe('the connection', () => {
  test('its status is told with its reason', async () => {
    const client = open()
    const told: string[] = []
    client.onStatus((status, reason) => told.push(`${status} ${reason}`.trim()))
    client.group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A])
    socket.say({ t: 'behind', sub: 1 }, { t: 'complete', sub: 1, v: 1 })
    socket.break(1012)
    expect(told).toEqual(['connecting', 'behind', 'live', 'behind', 'live', 'offline the connection was closed (1012)'])
  })

  test('it comes back by itself and resumes; what was held is shown meanwhile', async () => {
    const group = open().group<Todo>('todo', 'g')
    ;(await accepted()).fill(1, [A, B]).break()
    expect([group.getState().length, group.status]).toEqual([2, 'offline'])
    await pass(300)
    const again = await accepted()
    expect(again.of('sub')).toEqual([{ t: 'sub', sub: 1, stream: 'todo', group: 'g', from: { epoch: 'e', v: 2 } }])
    again.say({ t: 'subscribed', sub: 1, f: 1, epoch: 'e' }, { t: 'complete', sub: 1, v: 2 })
    expect([group.getState().length, group.status]).toEqual([2, 'live'])
  })

  test('a server that is back after some seconds is found within one', async () => {
    const client = open({ transport: 'websocket' })
    const socket = await accepted()
    socket.break()
    const away = Date.now()
    while (Date.now() - away < 8000) {
      await pass(10)
      if (client.status === 'connecting') server.last.break()
    }
    const known = server.sockets.length
    await pass(1000)
    expect(server.sockets.length).toBeGreaterThan(known)
    expect((await accepted()).of('ping')).toEqual([])
    expect(client.status).toBe('live')
  })

  test('a socket that does not open in ten seconds is given up', async () => {
    const client = open()
    await pass(10_001)
    expect(server.sockets[0]!.closed).toBe(true)
    expect(client.reason).toMatch('no answer')
  })

  test('silence is asked about, and then taken for death', async () => {
    const client = open()
    const socket = await accepted(10)
    await pass(10_001)
    expect(socket.of('ping')).toHaveLength(1)
    socket.say({ t: 'pong' })
    await pass(20_001)
    expect([socket.of('ping').length, client.status]).toEqual([2, 'live'])
    await pass(21_000)
    expect(socket.closed).toBe(true)
    expect(server.sockets.length).toBeGreaterThan(1)
  })

  test('the token is asked for before each attempt; what cannot be a subprotocol goes into the address', async () => {
    let calls = 0
    open({ token: async () => (calls += 1) === 1 ? 'abc.def-1' : 'mit Leerzeichen' })
    ;(await accepted()).break()
    await pass(300)
    expect(server.sockets[0]!.protocols).toEqual(['headwater.v1', 'headwater.token.abc.def-1'])
    expect(server.last.protocols).toEqual(['headwater.v1'])
    expect(new URL(server.last.url).searchParams.get('authToken')).toBe('mit Leerzeichen')
  })

  test('a token that cannot be had is a reason to be offline, and is asked for again', async () => {
    const token = vi.fn(async () => {
      throw new Error('please sign in')
    })
    const client = open({ token })
    await pass()
    expect([client.status, client.reason]).toEqual(['offline', 'please sign in'])
    await pass(1000)
    expect(token.mock.calls.length).toBeGreaterThan(1)
    expect(server.sockets).toHaveLength(0)
  })

  test('the network or the page coming back means a try at once, and a look at an open socket', async () => {
    const page = new EventTarget()
    const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
    vi.stubGlobal('document', document)
    vi.spyOn(Math, 'random').mockReturnValue(1)
    const client = open()
    const socket = await accepted()
    page.dispatchEvent(new Event('offline'))
    expect([client.status, client.reason, socket.closed]).toEqual(['offline', 'the network is gone', true])
    page.dispatchEvent(new Event('online'))
    await pass()
    expect(server.sockets).toHaveLength(2)
    const second = server.last.accept()
    document.dispatchEvent(new Event('visibilitychange'))
    expect(second.of('ping')).toHaveLength(1)
    await pass(5001)
    expect(second.closed).toBe(true)
    vi.restoreAllMocks()
  })

  test('a network that comes back and fails at first is tried again soon, however long it was away', async () => {
    const page = new EventTarget()
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
    const client = open({ transport: 'websocket' })
    await accepted()
    for (let attempt = 0; attempt < 60; attempt += 1) {
      server.last.break()
      while (client.status !== 'connecting') await pass(100)
      await pass()
    }
    server.last.break()
    page.dispatchEvent(new Event('online'))
    await pass()
    server.last.break()
    const known = server.sockets.length
    await pass(251)
    expect(server.sockets).toHaveLength(known + 1)
  })

  test('a message that is no JSON ends the socket', async () => {
    const client = open()
    ;(await accepted()).onmessage!({ data: '{' })
    expect(client.reason).toMatch('could not be read')
    expect(server.last.closed).toBe(true)
  })

  test('close ends it for good, open goes on', async () => {
    const client = open()
    const group = client.group('todo', 'g')
    ;(await accepted()).fill(1, [A])
    client.close()
    await pass(60_000)
    expect([server.sockets.length, client.status, group.getState().length]).toEqual([1, 'offline', 1])
    client.open()
    expect((await accepted()).of('sub')[0]!.from).toEqual({ epoch: 'e', v: 1 })
  })

  test('a lazy client connects with its first subscription', async () => {
    const client = open({ lazy: true })
    await pass(1000)
    expect(server.sockets).toHaveLength(0)
    client.group('todo', 'g')
    await pass()
    expect(server.sockets).toHaveLength(1)
  })

  test('where there is no WebSocket that is the reason told', async () => {
    vi.stubGlobal('WebSocket', undefined)
    const client = new Client('http://server', { transport: 'websocket' })
    clients.push(client)
    await pass()
    expect(client.reason).toMatch('give one as the option WebSocket')
  })

  test('a subscription that the server ended is not asked for again, but can be begun anew', async () => {
    const warned = vi.spyOn(console, 'warn').mockReturnValue()
    const client = open()
    const group = client.group('todo', 'g')
    const socket = await accepted()
    socket.say({ t: 'error', sub: 1, code: 'STREAM_ACCESS_DENIED', message: 'no', hint: 'sign in', ended: true })
    expect([group.status, group.error]).toEqual(['offline', { code: 'STREAM_ACCESS_DENIED', message: 'no', hint: 'sign in' }])
    expect(warned.mock.calls).toEqual([['headwater: todo/g has ended: no sign in']])
    group.close()
    await pass()
    group.open()
    expect(socket.of('sub')).toHaveLength(2)
    vi.restoreAllMocks()
  })
})

describe('keeping over a refresh', () => {
  function storage(most = Infinity) {
    const kept = new Map<string, string>()
    return {
      kept,
      getItem: (name: string) => kept.get(name) ?? null,
      removeItem: (name: string) => void kept.delete(name),
      setItem: (name: string, text: string) => {
        if (text.length > most) throw new DOMException('full', 'QuotaExceededError')
        kept.set(name, text)
      },
    }
  }
  let page: EventTarget
  beforeEach(() => {
    page = new EventTarget()
    vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
    vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
  })

  test('a page shows at once what it showed, and asks only for what came since', async () => {
    const keep = storage()
    open({ keep }).group<Todo>('todo', 'g')
    ;(await accepted()).fill(1, [A, B])
    page.dispatchEvent(new Event('pagehide'))
    const group = open({ keep }).group<Todo>('todo', 'g')
    expect([group.getState(), group.ready, group.status]).toEqual([[A[2], B[2]], true, 'connecting'])
    const socket = await accepted()
    expect(socket.of('sub')[0]!.from).toEqual({ epoch: 'e', v: 2 })
    socket.say(
      { t: 'subscribed', sub: 1, f: 1, epoch: 'e' },
      { t: 'page', sub: 1, v: 3, gone: [[3, 'a']] },
      { t: 'complete', sub: 1, v: 3 },
    )
    expect(group.getState()).toEqual([B[2]])
  })

  test('a full storage, one that refuses, and one that holds something else cost nothing', async () => {
    const full = storage(10)
    const refuses = { getItem: () => thrown(), setItem: () => thrown(), removeItem: () => thrown() }
    const other = storage()
    for (const text of ['{', '[2,[]]', 'null', '[1,5]']) {
      other.kept.set('headwater http://server/', text)
      for (const keep of [full, refuses, other]) {
        const client = open({ keep })
        const group = client.group('todo', 'g')
        expect(group.getState()).toEqual([])
        ;(await accepted()).fill(1, [A])
        page.dispatchEvent(new Event('pagehide'))
        expect(group.getState()).toHaveLength(1)
        client.close()
      }
    }
  })
})

function thrown(): never {
  throw new DOMException('denied', 'SecurityError')
}

test('a token that a page of the older library brings as a subprotocol is brought', async () => {
  clients.push(new Stream('ws://server', { protocols: ['Authorization', 'abc'], WebSocket: server.WebSocket }))
  await pass()
  expect(server.last.protocols).toEqual(['headwater.v1', 'headwater.token.abc'])
})

test('the older library’s names do what they did', async () => {
  const stream = new Stream('ws://server', { WebSocket: server.WebSocket })
  clients.push(stream)
  const group = stream.subscribeGroup<Todo>('todo', 'g', 'text')
  const item = stream.subscribeItem<Todo>('todo', 'g', 'a')
  const socket = await accepted()
  expect(new URL(socket.url).href).toBe('ws://server/')
  expect([group.getState(), item.getState()]).toEqual([[], null])
  const heard = vi.fn()
  group.addChangeListener(heard)
  const closed = vi.fn()
  item.onClose(closed)
  socket.fill(1, [A, B]).fill(2, [A])
  await pass()
  expect(heard).toHaveBeenCalledWith([A[2], B[2]])
  expect(item.getState()).toEqual(A[2])
  group.removeChangeListener(heard)
  item.close()
  expect(closed).toHaveBeenCalledOnce()
})
