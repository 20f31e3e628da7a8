import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { Client, connect, type Item, type Options, Refused } from '../src/index.ts'
import { updated } from '../src/operations.ts'
import { type Message, peer, type PeerSocket } from './peer.ts'

interface Todo extends Item {
  text: string
  n?: number
}

const A: [number, number, Todo] = [1, 1, { id: 'a', text: 'one', n: 5 }]
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

async function accepted(): Promise<PeerSocket> {
  await pass()
  return server.last.accept()
}

/** How a promise ends: its value, or the code of its refusal; nothing before. */
function ending(promise: Promise<unknown>): { now?: unknown } {
  const seen: { now?: unknown } = {}
  promise.then(
    (value) => (seen.now = value),
    (fault) => (seen.now = fault.code ?? fault),
  )
  return seen
}

/** A client that shows a group of two, and what it says. */
async function todos(options: Options = {}) {
  const client = open(options)
  const group = client.group<Todo>('todo', 'g')
  const socket = await accepted()
  socket.fill(1, [A, B])
  await pass()
  const shown: string[] = []
  const note = () => {
    const now = group.getState().map(({ text, n }) => text + (n ?? '')).join(' ')
    if (now !== shown.at(-1)) shown.push(now)
  }
  note()
  group.addChangeListener(note)
  const said = (t: string) => server.last.of(t).at(-1)!
  const ok = (message: Message, v?: number) => server.last.say({ t: 'ok', ask: message.ask, v })
  return { client, group, socket, shown, said, ok }
}

beforeEach(() => {
  server = peer()
  vi.useFakeTimers()
})

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  vi.useRealTimers()
})

describe('a write', () => {
  test('says what it is, each with a key of its own, and resolves with the version', async () => {
    const { client, group, said, ok } = await todos()
    const ends = [group.set('c', { text: 'three' }), group.update('a', [{ type: 'increment', path: 'n' }]), group.delete('b'), client.send('todo', 'g', { type: 'wave', data: 1 }, { id: 'a' })].map(ending)
    const where = { stream: 'todo', group: 'g' }
    expect(said('set')).toEqual({ t: 'set', ask: 2, ...where, id: 'c', d: { text: 'three' }, key: expect.any(String) })
    expect(said('update')).toEqual({ t: 'update', ask: 3, ...where, id: 'a', ops: [{ type: 'increment', path: 'n' }], key: expect.any(String) })
    expect(said('delete')).toEqual({ t: 'delete', ask: 4, ...where, id: 'b', key: expect.any(String) })
    expect(said('send')).toEqual({ t: 'send', ask: 5, ...where, id: 'a', e: { type: 'wave', data: 1 } })
    expect(new Set([said('set').key, said('update').key, said('delete').key]).size).toBe(3)
    ok(said('update'), 4)
    ok(said('set'), 3)
    ok(said('delete'))
    ok(said('send'))
    await pass()
    expect(ends.map(({ now }) => now)).toEqual([3, 4, 0, undefined])
  })

  test('needs no subscription; that of an item knows which', async () => {
    const client = open()
    const item = client.item('todo', 'g', 'a', { closed: true })
    void item.update([{ type: 'set', path: 'text', value: 'x' }], { key: 'mine' }).catch(() => {})
    void item.send({ type: 'wave', data: 2 }).catch(() => {})
    void client.set('todo', 7 as never, 8 as never, { text: 'x' }, { ifVersion: 0 }).catch(() => {})
    const socket = await accepted()
    expect(socket.of('update')[0]).toMatchObject({ id: 'a', key: 'mine' })
    expect(socket.of('send')[0]).toMatchObject({ id: 'a', e: { type: 'wave', data: 2 } })
    expect(socket.of('set')[0]).toMatchObject({ group: '7', id: '8', if: { v: 0 } })
  })

  test('is of the version that was seen, in its epoch', async () => {
    const { client, group, said } = await todos()
    expect([group.versionOf('a'), group.versionOf('b'), group.versionOf('c')]).toEqual([1, 2, 0])
    const conflict = group.set('b', { text: 'x' }, { ifVersion: group.versionOf('b') }).catch((fault: Refused) => fault)
    expect(said('set').if).toEqual({ epoch: 'e', v: 2 })
    server.last.say({ t: 'error', ask: said('set').ask, code: 'CONFLICT', message: 'somebody was faster', version: 9 })
    expect(await conflict).toMatchObject({ name: 'Refused', code: 'CONFLICT', message: 'somebody was faster', details: { version: 9 } })
    await expect(open().set('todo', 'g', 'a', {}, { ifVersion: 3 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    expect(client.status).toBe('live')
  })

  test('that cannot travel is refused where it is made, and shown nowhere', async () => {
    const { client, group, socket, shown } = await todos()
    const circular: any = {}
    circular.self = circular
    const sent = socket.sent.length
    const refused = [
      group.set('a', circular),
      group.set('a', [1] as never),
      group.set('a', undefined as never),
      group.set('', { text: 'x' }),
      group.set('\ud83d', { text: 'x' }),
      group.set(undefined as never, { text: 'x' }),
      group.update('a', undefined as never),
      client.set('', 'g', 'a', {}),
      client.send('todo', 'g', undefined as never),
    ]
    for (const one of refused) await expect(one).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(group.set('a', { text: 'x'.repeat(2 ** 20) })).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect([socket.sent.length, shown]).toEqual([sent, ['one5 two']])
  })

  test('is what it was when it was made, to the last digit', async () => {
    const { client, said } = await todos()
    const data = { n: 1161380288898609914n, deep: { list: [1] } }
    let text = ''
    server.last.send = (sent: string) => void (text = sent)
    void client.set('todo', 'g', 'x', data).catch(() => {})
    data.deep.list.push(2)
    expect(text).toContain('"d":{"n":1161380288898609914,"deep":{"list":[1]}}')
    expect(said).toBeDefined()
  })
})

describe('without a connection', () => {
  test('a write waits for an attempt that is under way, and else fails at once', async () => {
    const client = open()
    const early = ending(client.set('todo', 'g', 'a', {}))
    await pass()
    expect(early.now).toBeUndefined()
    server.last.break()
    await pass()
    expect([early.now, client.status]).toEqual(['OFFLINE', 'offline'])
    const late = ending(client.set('todo', 'g', 'a', {}))
    await pass()
    expect(late.now).toBe('OFFLINE')
    await pass(1_000)
    expect(server.last.accept().of('set')).toEqual([])
  })

  test('of a client that is closed a write does not connect it, and one of a lazy client does', async () => {
    const client = open({ lazy: true })
    const first = ending(client.set('todo', 'g', 'a', {}))
    ;(await accepted()).say({ t: 'ok', ask: server.last.of('set')[0]!.ask, v: 1 })
    await pass()
    client.close()
    const ends = [ending(client.set('todo', 'g', 'a', {})), ending(client.set('todo', 'g', 'b', {}, { offline: true }))]
    await pass(60_000)
    expect([first.now, ...ends.map(({ now }) => now), server.sockets.length]).toEqual([1, 'OFFLINE', undefined, 1])
    client.open()
    await accepted()
    expect(server.last.of('set').map(({ id }) => id)).toEqual(['b'])
  })

  test('one that may wait is said with the next connection, in order, and shown meanwhile', async () => {
    const { group, shown, said, ok } = await todos()
    server.last.break()
    await pass()
    const ends = [1, 2, 3].map((n) => ending(group.update('a', [{ type: 'increment', path: 'n', by: n }], { offline: true })))
    await pass()
    expect(shown.at(-1)).toBe('one11 two')
    await pass(1_000)
    const socket = server.last.accept()
    expect(socket.of('update').map(({ ops }) => ops[0].by)).toEqual([1, 2, 3])
    // Somebody else has changed it meanwhile.
    socket.fill(1, [[3, 1, { id: 'a', text: 'eins', n: 6 }]])
    await pass(5_000)
    expect(shown.at(-1)).toBe('one11 two')
    for (const message of socket.of('update')) ok(message, 4 + message.ops[0].by - 1)
    await pass()
    expect(shown.at(-1)).toBe('eins12 two')
    for (const [v, n] of [[4, 7], [5, 9], [6, 12]] as const) {
      socket.say({ t: 'patch', f: 101, v, i: 'a', o: [['s', ['n'], n]] })
      await pass()
    }
    expect(shown).toEqual(['one5 two', 'one6 two', 'one8 two', 'one11 two', 'eins12 two'])
    expect(ends.map(({ now }) => now)).toEqual([4, 5, 6])
    expect(said('set')).toBeUndefined()
  })

  test('a write whose answer was lost is said again with its key, before those made later; an event is not', async () => {
    const { client, group, said } = await todos()
    const ends = [ending(group.update('a', [{ type: 'increment', path: 'n' }])), ending(client.send('todo', 'g', { type: 'wave', data: 1 }))]
    const { key } = said('update')
    server.last.break()
    await pass()
    ends.push(ending(group.set('c', { text: 'late' }, { offline: true })))
    expect(ends.map(({ now }) => now)).toEqual([undefined, 'OFFLINE', undefined])
    await pass(1_000)
    const socket = server.last.accept()
    expect(socket.sent.filter(({ t }) => t !== 'sub').map(({ t, key }) => [t, key])).toEqual([['update', key], ['set', expect.any(String)]])
    socket.say({ t: 'ok', ask: said('update').ask, v: 3 }, { t: 'ok', ask: said('set').ask, v: 4 })
    await pass()
    expect(ends.map(({ now }) => now)).toEqual([3, 'OFFLINE', 4])
  })

  test('no more than so many wait, and no more than so much', async () => {
    const client = open({ queue: { writes: 2, bytes: 200 } })
    await pass()
    server.last.break()
    await pass()
    const offline = { offline: true }
    const ends = [{}, { text: 'x'.repeat(200) }, {}, {}].map((data, n) => ending(client.set('todo', 'g', `${n}`, data, offline)))
    await pass()
    expect(ends.map(({ now }) => now)).toEqual([undefined, 'QUEUE_FULL', undefined, 'QUEUE_FULL'])
    client.close()
    await pass()
    expect(ends.map(({ now }) => now)).toEqual(['OFFLINE', 'QUEUE_FULL', 'OFFLINE', 'QUEUE_FULL'])
    const again = ending(client.set('todo', 'g', 'a', {}, offline))
    server.last.accept()
    await pass()
    expect(again.now).toBeUndefined()
  })

  test('what waits is said a few at a time, and one after the other in a group, so that nothing is overtaken', async () => {
    const client = open()
    const ends = Array.from({ length: 60 }, (_, n) => ending(client.set('todo', `g${n % 20}`, `${n}`, {}, { offline: true })))
    const socket = await accepted()
    const said = () => socket.of('set').map(({ id }) => +id)
    expect(said()).toEqual([...Array(16).keys()])
    socket.say({ t: 'ok', ask: socket.of('set')[1]!.ask, v: 1 })
    socket.say({ t: 'error', ask: socket.of('set')[0]!.ask, code: 'TOO_MANY', message: 'slower' })
    for (const { ask } of socket.of('set').slice(2)) socket.say({ t: 'ok', ask, v: 1 })
    await pass()
    expect(said()).toEqual([...Array(17).keys()])
    await pass(1_000)
    let answered = 16
    while (answered < socket.of('set').length) socket.say({ t: 'ok', ask: socket.of('set')[answered++]!.ask, v: 1 })
    await pass()
    expect(said().length).toBe(61)
    for (let group = 0; group < 20; group++) {
      const its = said().filter((n) => n % 20 === group)
      expect(its).toEqual(group ? [group, group + 20, group + 40] : [0, 0, 20, 40])
    }
    expect(ends.every(({ now }) => now === 1)).toBe(true)
  })

  test('after the server was too busy, the next of a group waits for the one before until all is said', async () => {
    const client = open()
    const socket = await accepted()
    const write = (id: number) => void client.set('todo', 'g', `${id}`, {}, { offline: true }).catch(() => {})
    const said = () => socket.of('set').map(({ id }) => +id)
    const ok = () => socket.say({ t: 'ok', ask: socket.of('set').at(-1)!.ask, v: 1 })
    for (const id of [0, 1]) write(id)
    for (const { ask } of socket.of('set')) socket.say({ t: 'error', ask, code: 'STORE_UNAVAILABLE', message: 'later' })
    write(2)
    await pass(1_000)
    expect(said()).toEqual([0, 1, 0])
    ok()
    expect(said()).toEqual([0, 1, 0, 1])
    ok()
    ok()
    for (const id of [3, 4]) write(id)
    expect(said()).toEqual([0, 1, 0, 1, 2, 3, 4])
  })
})

describe('what a write makes of an item', () => {
  test('is shown wherever the item is followed, until the truth is here', async () => {
    const { client, group, socket, shown, said, ok } = await todos()
    const item = client.item<Todo>('todo', 'g', 'a')
    const others = [client.item<Todo>('todo', 'g', 'b'), client.item<Todo>('todo', 'other', 'a')]
    for (const sub of [2, 3]) socket.fill(sub, [sub === 2 ? A : B])
    await pass()
    void group.update('a', [{ type: 'append', path: 'text', value: '!' }])
    await pass()
    const [loud] = group.getState()
    expect([item.getState()?.text, others[0]!.getState()?.text, others[1]!.getState()]).toEqual(['one!', 'two', null])
    socket.say({ t: 'set', f: 101, v: 3, c: 2, d: { id: 'b', text: 'zwei' } }, { t: 'patch', f: 101, v: 4, i: 'a', o: [['a', ['text'], '!']] })
    await pass()
    expect(group.getState()[0]).toBe(loud)
    ok(said('update'), 4)
    await pass()
    expect(shown).toEqual(['one5 two', 'one!5 two', 'one!5 zwei'])
  })

  test('is taken back when it is refused, and not shown at all on request', async () => {
    const { group, socket, shown, said, ok } = await todos()
    const refused = ending(group.delete('a'))
    await pass()
    expect(shown.at(-1)).toBe('two')
    socket.say({ t: 'error', ask: said('delete').ask, code: 'STREAM_ACCESS_DENIED', message: 'not yours' })
    await pass()
    expect([shown.at(-1), refused.now]).toEqual(['one5 two', 'STREAM_ACCESS_DENIED'])
    void group.set('c', { text: 'three' }, { optimistic: false })
    await pass()
    expect(shown.at(-1)).toBe('one5 two')
    ok(said('set'), 3)
    socket.say({ t: 'set', f: 101, v: 3, c: 3, d: { id: 'c', text: 'three' } })
    await pass()
    expect(shown).toEqual(['one5 two', 'two', 'one5 two', 'one5 two three'])
  })

  test('never goes backwards, whatever of answer and change comes first, and however late', async () => {
    for (const first of ['answer', 'change', 'other']) {
      const { group, socket, shown, said, ok } = await todos()
      void group.update('a', [{ type: 'increment', path: 'n' }])
      await pass()
      const change = () => socket.say({ t: 'patch', f: 101, v: 4, i: 'a', o: [['s', ['n'], 7]] })
      const other = () => socket.say({ t: 'patch', f: 101, v: 3, i: 'a', o: [['s', ['n'], 6]] })
      if (first === 'other') other()
      else if (first === 'change') {
        other()
        change()
      }
      await pass(5_000)
      ok(said('update'), 4)
      await pass(5_000)
      if (first === 'answer') other()
      await pass()
      if (first !== 'change') change()
      await pass(20_000)
      const numbers = shown.map((text) => +/\d/.exec(text)![0])
      expect(numbers).toEqual([...numbers].sort())
      expect([numbers[0], numbers.at(-1)]).toEqual([5, 7])
    }
  })

  test('does not hold back what others do to an item while a page goes on writing it', async () => {
    const { group, socket, shown, ok } = await todos()
    const add = () => void group.update('a', [{ type: 'increment', path: 'n' }]).catch(() => {})
    add()
    await pass(10)
    // The page's own change and another's, as one.
    socket.say({ t: 'patch', f: 101, v: 4, i: 'a', o: [['s', ['n'], 6], ['s', ['text'], 'eins']] })
    await pass(10)
    add()
    await pass(10)
    ok(socket.of('update')[0]!, 3)
    await pass(10)
    expect(shown).toEqual(['one5 two', 'one6 two', 'one7 two', 'eins7 two'])
  })

  test('holds back nobody else’s item, also one that is alike', async () => {
    const { group, socket, shown, said, ok } = await todos()
    void group.set('mine', { text: 'three' })
    socket.say({ t: 'set', f: 101, v: 3, c: 3, d: { id: 'theirs', text: 'three' } })
    await pass()
    expect(shown.at(-1)).toBe('one5 two three three')
    ok(said('set'), 4)
    socket.say({ t: 'set', f: 101, v: 4, c: 4, d: { id: 'mine', text: 'three' } })
    await pass()
    expect(shown).toEqual(['one5 two', 'one5 two three', 'one5 two three three'])
  })

  test('is there at once where there is nothing to delete', async () => {
    const { group, shown, said, ok } = await todos()
    void group.delete('nobody')
    ok(said('delete'))
    await pass()
    expect(shown).toEqual(['one5 two'])
  })
})

describe('operations', () => {
  const cases: [name: string, item: any, operations: any[], result: unknown][] = [
    ['a member is set', { id: 'a' }, [{ type: 'set', path: 'x', value: 1 }], { id: 'a', x: 1 }],
    ['what lies on the way is made', { id: 'a', x: null }, [{ type: 'set', path: 'x.y', value: 1 }], { id: 'a', x: { y: 1 } }],
    ['exact names', { id: 'a' }, [{ type: 'set', path: ['x.y', 'z'], value: 1 }], { id: 'a', 'x.y': { z: 1 } }],
    ['an entry of a list', { l: [1, { n: 2 }] }, [{ type: 'increment', path: 'l.1.n', by: 3 }], { l: [1, { n: 5 }] }],
    ['numbers', { n: 1 }, [{ type: 'increment', path: 'n' }, { type: 'decrement', path: 'm', value: 2 }], { n: 2, m: -2 }],
    ['texts and lists grow', { t: 'a', l: [1] }, [{ type: 'append', path: 't', value: 'b' }, { type: 'append', path: 'l', value: 2 }, { type: 'append', path: 'x', value: 'y' }, { type: 'append', path: 'z', value: 3 }], { t: 'ab', l: [1, 2], x: 'y', z: [3] }],
    ['members are removed', { a: 1, l: [1, 2] }, [{ type: 'remove', path: 'a' }, { type: 'remove', path: 'l.0' }, { type: 'remove', path: 'no.where' }], { l: [2] }],
    ['objects are merged', { a: 1 }, [{ type: 'merge', value: { b: 2 } }, { type: 'merge', path: 'c', value: { d: 3 } }], { a: 1, b: 2, c: { d: 3 } }],
    ['an item is made', undefined, [{ type: 'set', path: 'n', value: 1 }], { n: 1 }],
    ['the whole of it', { a: 1 }, [{ type: 'set', path: '', value: { b: 2 } }], { b: 2 }],
    ['names of objects', {}, [{ type: 'set', path: '__proto__.x', value: 1 }], JSON.parse('{"__proto__":{"x":1}}')],
  ]
  for (const [name, item, operations, result] of cases) {
    test(name, () => {
      const before = JSON.stringify(item)
      expect(JSON.stringify(updated(item, operations))).toBe(JSON.stringify(result))
      expect(JSON.stringify(item)).toBe(before)
    })
  }

  test('one that meets no object fails', () => {
    expect(() => updated({ id: 'a', t: 'text' } as Item, [{ type: 'set', path: 't.x', value: 1 }])).toThrow(TypeError)
    expect(() => updated({ id: 'a', l: [1] } as Item, [{ type: 'set', path: 'l.1', value: 1 }])).toThrow(TypeError)
  })
})
