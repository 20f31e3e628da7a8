import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { Client, connect, type Item, type Options } from '../src/index.ts'
import { peer, type PeerSocket } from './peer.ts'

const A: [number, number, Item] = [1, 1, { id: 'a' }]

let server: ReturnType<typeof peer>
let clients: Client[] = []

function open(options: Options = {}): Client {
  const client = connect('http://server', { WebSocket: server.WebSocket, ...options })
  clients.push(client)
  return client
}

const pass = (ms = 1) => vi.advanceTimersByTimeAsync(ms)

async function accepted(): Promise<PeerSocket> {
  await pass()
  return server.last.accept()
}

/** A token function that goes through a list; an error is thrown. Its last token is given again and again. */
function tokens(...list: (string | Error | undefined)[]) {
  return vi.fn(async () => {
    const next = list.length > 1 ? list.shift() : list[0]
    if (next instanceof Error) throw next
    return next
  })
}

const asked = (socket: PeerSocket) => socket.of('auth').map(({ token }) => token)
const expired = (socket: PeerSocket, sub: number) => socket.say({ t: 'error', sub, code: 'TOKEN_EXPIRED', message: 'The token has expired.', ended: true })

beforeEach(() => {
  server = peer()
  vi.useFakeTimers()
})

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
  vi.useRealTimers()
})

describe('a token that ends', () => {
  test('is renewed in band, and nobody notices', async () => {
    const token = tokens('one', 'two')
    const group = open({ token }).group('todo', 'g')
    const socket = await accepted()
    expect(socket.protocols).toContain('headwater.token.one')
    socket.fill(1, [A])
    await pass()
    const heard = vi.fn()
    group.subscribe(heard)
    socket.say({ t: 'expiring', in: 30 }, { t: 'expiring', in: 29 })
    await pass()
    expect(asked(socket)).toEqual(['two'])
    socket.say({ t: 'ok', ask: socket.of('auth')[0]!.ask })
    await pass(60_000)
    expect([token.mock.calls.length, server.sockets.length, heard.mock.calls.length, group.status]).toEqual([2, 1, 0, 'live'])
    expect(socket.of('sub').length).toBe(1)
  })

  test('is asked for again, less and less often, while there is none or it is not believed', async () => {
    const token = tokens('one', new Error('no network'), 'forged', 'three')
    open({ token }).group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A]).say({ t: 'expiring', in: 30 })
    await pass()
    expect(asked(socket)).toEqual([])
    await pass(250)
    expect(asked(socket)).toEqual(['forged'])
    socket.say({ t: 'error', ask: socket.of('auth')[0]!.ask, code: 'UNAUTHENTICATED', message: 'no' })
    await pass(500)
    expect(asked(socket)).toEqual(['forged', 'three'])
    socket.say({ t: 'ok', ask: socket.of('auth')[1]!.ask })
    await pass(60_000)
    expect(token).toHaveBeenCalledTimes(4)
  })

  test('that a server never takes for good is asked for seldom', async () => {
    const token = tokens('same')
    open({ token }).group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A]).say({ t: 'expiring', in: 60 })
    for (let n = 0; n < 600; n++) {
      await pass(100)
      const last = socket.of('auth').at(-1)
      if (last && !last.answered) socket.say({ t: 'ok', ask: last.ask }, { t: 'expiring', in: 60 })
      if (last) last.answered = true
    }
    expect(asked(socket).length).toBeLessThan(80)
  })

  test('takes a while to answer: the page’s own function may hang', async () => {
    let calls = 0
    open({ token: () => (calls++ === 1 ? new Promise<string>(() => {}) : `t${calls}`) }).group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A]).say({ t: 'expiring', in: 60 })
    await pass(10_500)
    expect(asked(socket)).toEqual(['t3'])
  })
})

describe('a token that has expired', () => {
  test('is renewed, and what it ended goes on from where it stood without a word', async () => {
    const client = open({ token: tokens('one', new Error('no network'), 'two') })
    const group = client.group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A])
    await pass()
    const write = client.set('todo', 'g', 'x', {}, { offline: true })
    const hasty = client.set('todo', 'g', 'y', {}).catch(({ code }) => code)
    socket.say({ t: 'expiring', in: 0 })
    expired(socket, 1)
    for (const { ask } of socket.of('set')) socket.say({ t: 'error', ask, code: 'TOKEN_EXPIRED', message: 'no' })
    expect(await hasty).toBe('TOKEN_EXPIRED')
    const late = client.set('todo', 'g', 'z', {})
    expect([group.error, client.status]).toEqual([{ code: 'TOKEN_EXPIRED', message: expect.stringContaining('no network') }, 'live'])
    await pass(250)
    expect(asked(socket)).toEqual(['two'])
    expect(socket.of('set').length).toBe(2)
    socket.say({ t: 'ok', ask: socket.of('auth')[0]!.ask })
    expect(socket.of('sub')[1]).toMatchObject({ from: { epoch: 'e', v: 1 } })
    const [first, , ...again] = socket.of('set')
    expect(again.map(({ id, key }) => [id, key])).toEqual([['x', first!.key], ['z', expect.any(String)]])
    expect([group.error, group.status]).toEqual([undefined, 'behind'])
    socket.fill(socket.of('sub')[1]!.sub, [], 1).say({ t: 'ok', ask: again[0]!.ask, v: 2 }, { t: 'ok', ask: again[1]!.ask, v: 3 })
    expect([await write, await late, group.status, group.getState()]).toEqual([2, 3, 'live', [A[2], { id: 'x' }]])
  })

  test('is no error while a new one is on its way', async () => {
    let give = (_: string) => {}
    let calls = 0
    const client = open({ token: () => (calls++ ? new Promise<string>((done) => (give = done)) : 'one') })
    const group = client.group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A])
    expired(socket, 1)
    await pass()
    expect([group.error, group.status, client.status]).toEqual([undefined, 'behind', 'behind'])
    // Whoever comes meanwhile waits too.
    const other = client.group('todo', 'other')
    expired(socket, socket.of('sub')[1]!.sub)
    give('two')
    await pass()
    socket.say({ t: 'ok', ask: socket.of('auth')[0]!.ask })
    const [, , ...again] = socket.of('sub')
    expect(again.map(({ group }) => group)).toEqual(['g', 'other'])
    for (const { sub } of again) socket.fill(sub, [], 1)
    expect([group.status, other.status]).toEqual(['live', 'live'])
  })

  test('is told where there is no other; a page that has one says so', async () => {
    const client = open({ token: 'one' })
    const group = client.group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A]).say({ t: 'expiring', in: 30 })
    expired(socket, 1)
    await pass()
    expect([group.error?.code, asked(socket)]).toEqual(['TOKEN_EXPIRED', []])
    const write = expect(client.set('todo', 'g', 'x', {})).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' })
    socket.say({ t: 'error', ask: socket.of('set')[0]!.ask, code: 'TOKEN_EXPIRED', message: 'no' })
    await write
    const done = client.auth('two')
    await pass()
    socket.say({ t: 'ok', ask: socket.of('auth')[0]!.ask })
    await done
    expect([group.error, socket.of('sub').length, asked(socket)]).toEqual([undefined, 2, ['two']])
    socket.break()
    await pass(300)
    expect(server.last.protocols).toContain('headwater.token.two')
  })

  test('a connection that is made anew brings another one', async () => {
    const group = open({ token: tokens('one', new Error('not now'), 'two') }).group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A])
    expired(socket, 1)
    await pass()
    socket.break()
    await pass(300)
    const next = server.last.accept()
    expect([next.protocols, next.of('sub')[0]!.from, asked(next)]).toEqual([['headwater.v1', 'headwater.token.two'], { epoch: 'e', v: 1 }, []])
    expect(group.error).toBeUndefined()
  })
})

test('a token that cannot be had is not taken for a WebSocket that does not open', async () => {
  const fetched = vi.fn()
  vi.stubGlobal('fetch', fetched)
  const no = new Error('no network')
  open({ token: tokens(no, no, no, no, 'one') }).group('todo', 'g')
  await pass(4_000)
  expect([fetched.mock.calls.length, server.sockets.length, server.last.protocols]).toEqual([0, 1, ['headwater.v1', 'headwater.token.one']])
  vi.unstubAllGlobals()
})

describe('what is taken away', () => {
  const revoked = (socket: PeerSocket, sub: number) => socket.say({ t: 'revoked', sub, code: 'REVOKED', message: 'You may not follow this any more.' })

  test('is an error of that subscription alone, and is not asked for again', async () => {
    const client = open({ token: () => 'one' })
    const group = client.group('todo', 'g')
    const other = client.group('todo', 'other')
    const socket = await accepted()
    socket.fill(1, [A]).fill(2, [A])
    revoked(socket, 1)
    await pass()
    expect([group.error?.code, group.status, other.status, client.status]).toEqual(['REVOKED', 'offline', 'live', 'live'])
    socket.break()
    await pass(300)
    expect(server.last.accept().of('sub').map(({ group }) => group)).toEqual(['other'])
    // The page asks.
    group.close()
    group.open()
    expect(group.error).toBeUndefined()
    expect(server.last.of('sub').map(({ group }) => group)).toEqual(['other', 'g'])
  })

  test('comes back with another token: in band, or with the next connection', async () => {
    let token = 'one'
    const client = open({ token: () => token })
    const group = client.group('todo', 'g')
    const denied = client.group('todo', 'secret')
    const socket = await accepted()
    socket.fill(1, [A])
    socket.say({ t: 'error', sub: 2, code: 'STREAM_ACCESS_DENIED', message: 'no', ended: true })
    revoked(socket, 1)
    token = 'two'
    const done = client.auth()
    await pass()
    socket.say({ t: 'ok', ask: socket.of('auth')[0]!.ask })
    await done
    const [, , ...again] = socket.of('sub')
    expect(again.map(({ group, from }) => [group, from?.v])).toEqual([['secret', undefined], ['g', 1]])
    expect([group.error, denied.error]).toEqual([undefined, undefined])
    for (const { sub } of again) revoked(socket, sub)
    token = 'three'
    socket.break()
    await pass(300)
    expect(server.last.accept().of('sub').map(({ group }) => group).sort()).toEqual(['g', 'secret'])
  })

  test('nobody who asks any more is said by a connection of its own', async () => {
    let token: string | undefined = 'one'
    const client = open({ token: () => token })
    client.group('todo', 'g')
    const socket = await accepted()
    socket.fill(1, [A])
    token = undefined
    await client.auth()
    await pass()
    expect([socket.closed, server.last.protocols]).toEqual([true, ['headwater.v1']])
    await expect(client.auth('forged')).resolves.toBeUndefined()
    await pass()
    const next = server.last.accept()
    expect(next.protocols).toContain('headwater.token.forged')
    const refused = expect(client.auth('worse')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await pass()
    next.say({ t: 'error', ask: next.of('auth')[0]!.ask, code: 'UNAUTHENTICATED', message: 'no' })
    await refused
  })
})
