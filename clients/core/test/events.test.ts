import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterEach, expect, test, vi } from 'vitest'

import { PeerSocket } from './peer.ts'
import { Client, type Item, type Options } from '../src/index.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** A server that speaks event streams alone, as seen through a proxy that knows no WebSocket. */
async function serving(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closing.push(() => (server.closeAllConnections(), server.close()))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function open(url: string, options: Options): Client {
  const client = new Client(url, options)
  closing.push(() => client.close())
  return client
}

const head = { 'content-type': 'text/event-stream' }
const event = (message: object) => `id: e.1\ndata: ${JSON.stringify(message)}\n\n`

test('each subscription is a stream of its own, resumed by its cursor', async () => {
  const asked: string[] = []
  const tokens: unknown[] = []
  const url = await serving((request, response) => {
    asked.push(request.url!)
    tokens.push(request.headers.authorization)
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }))
    const whole = event({ t: 'page', sub: 0, v: 1, items: [[1, 1, { id: 'a', text: 'ä☃' }]] })
    // Cut inside a character and inside a line.
    const bytes = Buffer.from(`: a comment\n\n${whole}`)
    response.write(bytes.subarray(0, 60))
    setTimeout(() => {
      response.write(bytes.subarray(60))
      response.write(event({ t: 'complete', sub: 0, v: 1 }) + event({ t: 'event', f: 7, e: { type: 'wave', data: 1 } }))
      if (asked.length < 3) response.end()
    }, 5)
  })
  const client = open(url, { transport: 'sse', token: 'secret' })
  const heard = vi.fn()
  const group = client.group<Item>('room', 'a/b')
  group.onEvent('wave', heard)
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(2), 5000)
  expect(new URLSearchParams(asked[0]!.split('?')[1]).toString()).toBe('stream=room&group=a%2Fb')
  expect(new Set(tokens)).toEqual(new Set(['Bearer secret']))
  expect(asked[1]).toContain('from=e.1')
  await vi.waitFor(() => expect(client.status).toBe('live'))
  expect(group.getState()).toEqual([{ id: 'a', text: 'ä☃' }])
  expect(heard.mock.calls.length).toBe(3)
})

test('a group and its item do not hear an event twice', async () => {
  const url = await serving((_, response) => {
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
    setTimeout(() => response.write(event({ t: 'event', f: 7, i: 'a', e: { type: 'wave', data: 1 } })), 20)
  })
  const client = open(url, { transport: 'sse' })
  const [group, item] = [vi.fn(), vi.fn()]
  client.group('room', 'g').onEvent('wave', group)
  client.item('room', 'g', 'a').onEvent('wave', item)
  await vi.waitFor(() => expect([group.mock.calls.length, item.mock.calls.length]).toEqual([1, 1]))
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect([group.mock.calls.length, item.mock.calls.length]).toEqual([1, 1])
})

test('what the server refuses is an error of the subscription, not of the connection', async () => {
  const url = await serving((request, response) => {
    const denied = request.url!.includes('secret')
    response.writeHead(denied ? 403 : 200, denied ? {} : head)
    if (denied) response.end(JSON.stringify({ code: 'STREAM_ACCESS_DENIED', detail: 'not for you' }))
    else response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  const client = open(url, { transport: 'sse' })
  const secret = client.group('room', 'secret')
  const group = client.group('room', 'g')
  await vi.waitFor(() => expect(secret.error).toEqual({ code: 'STREAM_ACCESS_DENIED', message: 'not for you' }))
  await vi.waitFor(() => expect(group.status).toBe('live'))
})

test('where WebSockets do not open, event streams are tried', async () => {
  const url = await serving((_, response) => {
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  let attempts = 0
  class Blocked {
    onopen = null
    onmessage = null
    onclose: ((event: any) => void) | null = null
    onerror = null
    constructor() {
      attempts += 1
      queueMicrotask(() => this.onclose?.({ code: 1006, reason: '' }))
    }
    send() {}
    close() {}
  }
  const client = open(url, { WebSocket: Blocked })
  client.group('room', 'g')
  await vi.waitFor(() => expect(client.status).toBe('live'), 5000)
  expect(attempts).toBe(2)
})

test('from event streams it goes back to a WebSocket once one opens, without losing what it holds', async () => {
  // Else a try may fall together with the end of the silent event stream, and end with it.
  vi.spyOn(Math, 'random').mockReturnValue(0)
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
  const url = await serving((_, response) => {
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'page', sub: 0, v: 1, items: [[1, 1, { id: 'a' }]] }))
    response.write(event({ t: 'complete', sub: 0, v: 1 }))
  })
  const sockets: PeerSocket[] = []
  let blocked = true
  class Blocked extends PeerSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      sockets.push(this)
      if (blocked) queueMicrotask(() => this.break())
    }
  }
  const client = open(url, { WebSocket: Blocked })
  const group = client.group<Item>('room', 'g', { state: { name: 'ada' } })
  while (group.status !== 'live') {
    await vi.advanceTimersByTimeAsync(10)
    await new Promise(setImmediate)
  }
  await vi.advanceTimersByTimeAsync(30_000)
  expect([sockets.length > 3, group.status]).toEqual([true, 'live'])
  blocked = false
  const tried = sockets.length
  while (sockets.length === tried) await vi.advanceTimersByTimeAsync(1000)
  expect(group.getState()).toEqual([{ id: 'a' }])
  const socket = sockets.at(-1)!.accept()
  expect(socket.of('sub')).toEqual([
    { t: 'sub', sub: 1, stream: 'room', group: 'g', state: { name: 'ada' }, from: { epoch: 'e', v: 1 } },
  ])
  socket.say({ t: 'subscribed', sub: 1, f: 3, epoch: 'e' }, { t: 'complete', sub: 1, v: 1 })
  expect([group.status, group.getState()]).toEqual(['live', [{ id: 'a' }]])
  await vi.advanceTimersByTimeAsync(100_000)
  expect(sockets.at(-1)).not.toBe(undefined)
  vi.restoreAllMocks()
})

test('it is not live before a server has answered, and not after the last subscription is closed', async () => {
  const answers: ServerResponse[] = []
  const url = await serving((_, response) => answers.push(response))
  const client = open(url, { transport: 'sse' })
  const told: string[] = []
  client.onStatus((status) => told.push(status))
  await new Promise((resolve) => setTimeout(resolve, 20))
  const group = client.group('room', 'g')
  await vi.waitFor(() => expect(answers).toHaveLength(1))
  expect([group.status, client.status]).toEqual(['connecting', 'connecting'])
  answers[0]!.writeHead(200, head)
  answers[0]!.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  await vi.waitFor(() => expect(client.status).toBe('live'))
  group.close()
  await vi.waitFor(() => expect(client.status).toBe('connecting'))
  expect(told).not.toContain('offline')
})

test('a stream that is not there yet is looked for, and followed when it is', async () => {
  const warned = vi.spyOn(console, 'warn').mockReturnValue()
  // What a proxy answers while the server restarts says nothing of the stream.
  const statuses = [404, 503]
  const asked: string[] = []
  const url = await serving((request, response) => {
    asked.push(request.headers.accept === 'text/event-stream' ? 'follow' : 'look')
    const status = statuses.shift() ?? 200
    response.writeHead(status, status === 200 ? head : {})
    if (status === 404) response.end(JSON.stringify({ code: 'STREAM_UNKNOWN', title: 'no' }))
    else if (status === 503) response.end('<h1>Back soon</h1>')
    else response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  const group = open(url, { transport: 'sse' }).group('later', 'g')
  await vi.waitFor(() => expect(group.error?.code).toBe('STREAM_UNKNOWN'))
  await vi.waitFor(() => expect(group.status).toBe('live'), 8000)
  expect(group.error).toBeUndefined()
  expect(asked).toEqual(['follow', 'look', 'look', 'follow'])
  warned.mockRestore()
})

test('one response that does not begin is asked for again, and the others go on', async () => {
  const asked: string[] = []
  const url = await serving((request, response) => {
    const group = new URL(request.url!, 'http://x').searchParams.get('group')!
    asked.push(group)
    const busy = group === 'busy' && asked.filter((one) => one === group).length < 3
    response.writeHead(busy ? 503 : 200, busy ? {} : head)
    if (busy) response.end('<h1>Too busy</h1>')
    else response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  const client = open(url, { transport: 'sse' })
  const good = client.group('room', 'good')
  await vi.waitFor(() => expect(good.status).toBe('live'))
  const told: string[] = []
  good.subscribe(() => told.push(good.status))
  const busy = client.group('room', 'busy')
  await vi.waitFor(() => expect(busy.status).toBe('live'), 8000)
  expect(asked).toEqual(['good', 'busy', 'busy', 'busy'])
  expect(told).not.toContain('offline')
  expect(client.status).toBe('live')
})

test('an address may have a path and a query: both ways use them', async () => {
  const asked: string[] = []
  const url = await serving((request, response) => {
    asked.push(request.url!)
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  for (const [address, options] of [['/app?tenant=1', {}], ['/app/', { prefix: 'live' }], ['', {}]] as const) {
    const group = open(`${url}${address}`, { transport: 'sse', ...options }).group('room', 'g')
    await vi.waitFor(() => expect(group.status).toBe('live'))
  }
  expect(asked).toEqual(['/app/streams?stream=room&group=g&tenant=1', '/app/live?stream=room&group=g', '/streams?stream=room&group=g'])
})

test('who had a WebSocket is not moved to event streams by a server that is away for long', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0)
  let streams = 0
  const url = await serving((_, response) => {
    streams += 1
    response.writeHead(200, head)
  })
  let attempts = 0
  class OnceOpen {
    onopen: ((event: any) => void) | null = null
    onmessage = null
    onclose: ((event: any) => void) | null = null
    onerror = null
    constructor() {
      attempts += 1
      if (attempts === 1) queueMicrotask(() => this.onopen?.({}))
      setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), 1)
    }
    send() {}
    close() {}
  }
  open(url, { WebSocket: OnceOpen }).group('room', 'g')
  await vi.waitFor(() => expect(attempts).toBeGreaterThan(6), 5000)
  expect(streams).toBe(0)
  vi.restoreAllMocks()
})

test('a refusal by something in between is tried again', async () => {
  let asked = 0
  const url = await serving((_, response) => {
    asked += 1
    response.writeHead(asked < 3 ? 404 : 200, head)
    if (asked < 3) response.end('<h1>Nothing here yet</h1>')
    else response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  const group = open(url, { transport: 'sse' }).group('room', 'g')
  await vi.waitFor(() => expect(group.status).toBe('live'), 5000)
  expect(group.error).toBeUndefined()
})

test('a window asks for its part, resumes it, and loads older items by a response that resumes it', async () => {
  const asked: string[] = []
  const cut: ServerResponse[] = []
  const url = await serving((request, response) => {
    asked.push(new URL(request.url!, 'http://server').search)
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }))
    if (asked.length === 1) {
      response.write(event({ t: 'page', sub: 0, v: 2, items: [[2, 2, { id: 'b' }]] }))
      response.write(`id: e.2\ndata: ${JSON.stringify({ t: 'complete', sub: 0, v: 2, floor: 2 })}\n\n`)
      response.write(`id: e.3\ndata: ${JSON.stringify({ t: 'set', f: 7, v: 3, c: 3, d: { id: 'c' } })}\n\n`)
    } else {
      const items = [[1, 1, { id: 'a' }], [2, 2, { id: 'b' }]]
      if (asked.length === 2) response.write(event({ t: 'page', sub: 0, v: 3, items, older: true }))
      response.write(event({ t: 'complete', sub: 0, v: 3, floor: 0 }))
      cut.push(response)
    }
  })
  const group = open(url, { transport: 'sse' }).group<Item>('room', 'g', { limit: 1 })
  await vi.waitFor(() => expect(group.getState().map(({ id }) => id)).toEqual(['c']))
  await group.loadMore(5)
  expect([group.getState().map(({ id }) => id), group.hasMore]).toEqual([['a', 'b', 'c'], false])
  cut[0]!.end()
  await vi.waitFor(() => expect(asked).toHaveLength(3))
  const query = '?stream=room&group=g&limit=1'
  expect(asked).toEqual([query, `${query}&from=e.3&floor=3&more=5`, `${query}&from=e.3&floor=0`])
})

test('a run is cancelled by a request of its own, and the event stream goes on', async () => {
  const asked: unknown[] = []
  let status = 202
  const url = await serving((request, response) => {
    if (request.method === 'POST') {
      asked.push([request.url, request.headers.authorization])
      const body = status === 404 ? { code: 'RUN_UNKNOWN', title: 'Run unknown', detail: 'nobody', hint: 'look' } : {}
      response.writeHead(status).end(JSON.stringify(body))
    } else {
      response.writeHead(200, head)
      response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
    }
  })
  const client = open(url, { transport: 'sse', token: 'secret' })
  const [group, item] = [client.group('room', 'g'), client.item('room', 'g', '..')]
  await vi.waitFor(() => expect(client.status).toBe('live'))
  await group.cancel('a')
  await item.cancel()
  expect(asked).toEqual([
    ['/streams/cancel?stream=room&group=g&id=a', 'Bearer secret'],
    ['/streams/cancel?stream=room&group=g&id=..', 'Bearer secret'],
  ])
  status = 404
  await expect(item.cancel()).rejects.toMatchObject({ code: 'RUN_UNKNOWN', message: 'nobody', hint: 'look' })
  status = 502
  await expect(item.cancel()).rejects.toMatchObject({ code: 'OFFLINE' })
  expect(client.status).toBe('live')
})

test('a page that is looked at again keeps the event streams that were just heard', async () => {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  vi.stubGlobal('document', document)
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
  const url = await serving((_, response) => {
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 0 }))
  })
  const client = open(url, { transport: 'sse' })
  const reasons: string[] = []
  client.onStatus((_, reason) => reasons.push(reason))
  client.group('room', 'g')
  while (client.status !== 'live') await new Promise(setImmediate)
  document.dispatchEvent(new Event('visibilitychange'))
  await vi.advanceTimersByTimeAsync(10_000)
  expect(client.status).toBe('live')
  await vi.advanceTimersByTimeAsync(100_000)
  expect(reasons).toContain('an event stream has gone silent')
})

/** What a server was asked that is no event stream, with what it was sent. */
interface Asked {
  method: string
  path: string
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** A server whose event streams stay open, and that answers writes by `answer`. */
async function writable(answer: (asked: Asked, response: ServerResponse) => void) {
  const asked: Asked[] = []
  const streams: { path: string; token: string | undefined; response: ServerResponse }[] = []
  const url = await serving((request, response) => {
    if (request.headers.accept === head['content-type']) {
      streams.push({ path: request.url!, token: request.headers.authorization, response })
      response.writeHead(200, head)
      response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 1 }))
      return
    }
    let body = ''
    request.on('data', (part) => (body += part))
    request.on('end', () => {
      const one = { method: request.method!, path: request.url!, headers: request.headers, body }
      asked.push(one)
      answer(one, response)
    })
  })
  return { url, asked, streams }
}

const refusing = (response: ServerResponse, status: number, code: string, more = {}) => {
  response.writeHead(status, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ status, title: 'no', detail: `${code} it is`, code, ...more }))
}

test('writes are requests, one after the other, answered as on a socket', async () => {
  const { url, asked } = await writable(({ method, path }, response) => {
    if (path.includes('conflict')) return refusing(response, 412, 'PRECONDITION_FAILED', { version: 9 })
    if (path.includes('broken')) return refusing(response, 400, 'SCHEMA_MISMATCH', { faults: [{ field: 'text', message: 'is required' }] })
    setTimeout(() => response.writeHead(method === 'DELETE' || method === 'POST' ? 204 : 200, method === 'PUT' ? { etag: '"e.f.7"' } : method === 'PATCH' ? { etag: 'W/"e.f.8"' } : {}).end(), 5)
  })
  const client = open(url, { transport: 'sse', token: 'secret' })
  const group = client.group<Item>('room', 'a/b')
  await vi.waitFor(() => expect(client.status).toBe('live'))
  const answers = await Promise.all([
    group.set('x', { n: 2n ** 60n } as object, { key: 'k1' }),
    group.update('x', [{ type: 'remove', path: 'n' }], { ifVersion: 0 }),
    group.delete('x', { ifVersion: 8 }),
    group.send({ type: 'wave', data: 1 }, { id: 'x' }),
    group.set('conflict', {}).catch(({ code, details }) => [code, details.version]),
    group.set('broken', {}).catch(({ code, details }) => [code, details.faults[0].field]),
  ])
  expect(answers).toEqual([7, 8, 0, undefined, ['CONFLICT', 9], ['SCHEMA_MISMATCH', 'text']])
  expect(asked.map(({ method, path }) => [method, path]).slice(0, 4)).toEqual(['PUT', 'PATCH', 'DELETE', 'POST'].map((method) => [method, '/streams?stream=room&group=a%2Fb&id=x']))
  const [put, patch, gone, post] = asked
  expect([put!.body, patch!.body, gone!.body, post!.body]).toEqual(['{"n":1152921504606846976}', '[{"type":"remove","path":"n"}]', '', '{"type":"wave","data":1}'])
  expect([put!.headers['idempotency-key'], post!.headers['idempotency-key'], put!.headers.authorization, put!.headers['content-type']]).toEqual(['k1', undefined, 'Bearer secret', 'application/json'])
  expect([put!.headers['if-match'], patch!.headers['if-none-match'], gone!.headers['if-match']]).toEqual([undefined, '*', '"e.8"'])
  expect(client.status).toBe('live')
})

test('a write that is not answered is said again, in order, and what stands between may refuse it', async () => {
  const seen: string[] = []
  const { url } = await writable(({ headers }, response) => {
    const key = headers['idempotency-key'] as string
    seen.push(key)
    if (seen.length === 1) response.destroy()
    else if (seen.length === 2) response.writeHead(502).end('Bad Gateway')
    else if (key === 'third') response.writeHead(405).end()
    else response.writeHead(200, { etag: `"e.${seen.length}"` }).end()
  })
  const client = open(url, { transport: 'sse' })
  const answers = ['first', 'second', 'third'].map((key) => client.set('room', 'g', key, {}, { key, offline: true }).catch(({ code }) => code))
  expect(await Promise.all(answers)).toEqual([3, 4, 'OFFLINE'])
  expect(seen).toEqual(['first', 'first', 'first', 'second', 'third'])
  // Nothing is followed: nobody is known to be there, or not.
  expect(client.status).toBe('connecting')
})

test('another token takes over each stream where the old one stood, and not before it is believed', async () => {
  let token = 'one'
  const { url, streams } = await writable(() => {})
  const client = open(url, { transport: 'sse', token: () => token })
  const group = client.group<Item>('room', 'g')
  const other = client.group<Item>('room', 'h')
  await vi.waitFor(() => expect(client.status).toBe('live'))
  const heard = vi.fn()
  group.subscribe(heard)
  token = 'two'
  streams[0]!.response.write(event({ t: 'expiring', in: 30 }))
  await vi.waitFor(() => expect(streams.length).toBe(4))
  await vi.waitFor(() => expect(streams.slice(0, 2).every(({ response }) => response.closed)).toBe(true))
  expect(streams.slice(2).map(({ path, token }) => [path, token]).sort()).toEqual([
    ['/streams?stream=room&group=g&from=e.1', 'Bearer two'],
    ['/streams?stream=room&group=h&from=e.1', 'Bearer two'],
  ])
  streams.find(({ path, token }) => token === 'Bearer two' && path.includes('=g&'))!.response.write(event({ t: 'set', f: 7, v: 2, c: 2, d: { id: 'x' } }))
  await vi.waitFor(() => expect(group.getState()).toEqual([{ id: 'x' }]))
  expect([client.status, other.status, group.error]).toEqual(['live', 'live', undefined])
})

test('where nothing more can be opened, the old streams make room, and nothing is lost', async () => {
  const streams: { path: string; token: string | undefined }[] = []
  let busy = false
  const url = await serving((request, response) => {
    // As a browser that has no connection left: what is asked for is not even sent.
    if (busy) return
    busy = true
    request.socket.once('close', () => (busy = false))
    streams.push({ path: request.url!, token: request.headers.authorization })
    response.writeHead(200, head)
    response.write(event({ t: 'subscribed', sub: 0, f: 7, epoch: 'e' }) + event({ t: 'complete', sub: 0, v: 1 }))
    if (streams.length === 1) response.write(event({ t: 'expiring', in: 30 }))
  })
  const given = ['one', 'two', 'three']
  const client = open(url, { transport: 'sse', token: () => given.shift()! })
  const group = client.group<Item>('room', 'g')
  await vi.waitFor(() => expect(streams.length).toBe(2), 10_000)
  expect(streams[1]).toEqual({ path: '/streams?stream=room&group=g&from=e.1', token: 'Bearer three' })
  await vi.waitFor(() => expect(group.status).toBe('live'))
}, 15_000)

test('an event stream that ends with its token is followed again by another one', async () => {
  const given = ['one', 'two']
  const { url, streams } = await writable(() => {})
  const client = open(url, { transport: 'sse', token: () => given.shift() ?? 'three' })
  const group = client.group<Item>('room', 'g')
  await vi.waitFor(() => expect(client.status).toBe('live'))
  streams[0]!.response.end(event({ t: 'error', sub: 0, code: 'TOKEN_EXPIRED', message: 'The token has expired.', ended: true }))
  await vi.waitFor(() => expect(streams.length).toBe(2))
  expect([streams[1]!.path, streams[1]!.token]).toEqual(['/streams?stream=room&group=g&from=e.1', 'Bearer two'])
  await vi.waitFor(() => expect(group.status).toBe('live'))
  streams[1]!.response.end(event({ t: 'revoked', sub: 0, code: 'REVOKED', message: 'no more' }))
  await vi.waitFor(() => expect(group.error?.code).toBe('REVOKED'))
})
