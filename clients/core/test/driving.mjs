/**
 * What the drivers of this client and of its React hooks share: networks that can be cut and stalled, a look at what
 * travels on them, and the answers on standard output. What is answered is told in the Python package,
 * `headwater.testing.driver`. Clients are driven through what pages use; what pages cannot see (a window's floor, how
 * often the server began anew, bytes) is read from the wire.
 */

import { createInterface } from 'node:readline'

import WebSocket from 'ws'

// Clients listen for the network's return on the page.
const page = new EventTarget()
globalThis.addEventListener ??= page.addEventListener.bind(page)
globalThis.removeEventListener ??= page.removeEventListener.bind(page)
globalThis.dispatchEvent ??= page.dispatchEvent.bind(page)

const networks = []
const { fetch } = globalThis
// A client tells whose request it is by its prefix.
globalThis.fetch = (url, options) => networks[new URL(url).searchParams.get('network')].fetch(url, options)

/** The network of one client: its sockets and its event streams. */
class Network {
  /** Whether it lets anything through. */
  #up = true
  #socket
  #ending = new AbortController()
  #stalled = Promise.resolve()
  #goOn = () => {}
  #ended = false
  /** Bytes of the messages since the connection was opened. */
  bytes = 0
  /** How often its client has asked for a token. */
  tokens = 0
  prefix = `/streams?network=${networks.push(this) - 1}`
  /** What was told to whoever asked for the same: by what was asked, and by its number on the socket. */
  #told = new Map()
  #asked = new Map()

  constructor() {
    const network = this
    this.WebSocket = class extends WebSocket {
      constructor(url, protocols) {
        if (!network.#up) throw new Error('the network is cut')
        super(url, protocols, { perMessageDeflate: false })
        network.#socket = this
        network.#asked.clear()
        network.bytes = 0
        // Before the client hears of it.
        this.on('message', (data) => network.#note(network.#asked.get(JSON.parse(data).sub), data))
      }

      send(text) {
        network.#sent(JSON.parse(text))
        super.send(text)
      }
    }
  }

  async fetch(url, { signal, ...options }) {
    if (!this.#up) throw new Error('the network is cut')
    const signals = [signal, this.#ending.signal].filter(Boolean)
    const answer = await fetch(url, { ...options, signal: AbortSignal.any(signals) })
    if (options.method) await this.#answered()
    if (!answer.ok || options.method) return answer
    const { limit, ...asked } = Object.fromEntries(new URL(url).searchParams)
    const told = this.told({ ...asked, limit: limit && Number(limit) })
    if (this.#ended) this.bytes = 0
    this.#ended = false
    return new Response(this.#passed(answer.body, told), { status: answer.status })
  }

  /** The answer to a request that is none for a stream has come through. */
  #answered() {
    const { signal } = this.#ending
    const ended = new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
    return Promise.race([this.#stalled, ended])
  }

  async *#passed(body, told) {
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for await (const chunk of body) {
        await this.#stalled
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
        rest = lines.pop()
        for (const line of lines) if (line.startsWith('data: ')) this.#note(told, line.slice(6))
        yield chunk
      }
    } finally {
      this.#ended = true
    }
  }

  cut() {
    this.#up = false
    this.#socket?.terminate()
    this.#ending.abort(new Error('the network is cut'))
    // What comes with the next connection is not held up.
    this.#goOn()
    this.#stalled = Promise.resolve()
  }

  mend() {
    this.#up = true
    this.#ending = new AbortController()
    globalThis.dispatchEvent(new Event('online'))
  }

  stall() {
    this.#socket?.pause()
    this.#stalled = new Promise((resolve) => (this.#goOn = resolve))
  }

  unstall() {
    this.#socket?.resume()
    this.#goOn()
  }

  /** What the wire told whoever asks for this. */
  told({ stream, group, id, limit }) {
    const key = JSON.stringify([stream, group, id, limit])
    if (!this.#told.has(key)) this.#told.set(key, { floor: 0, resets: 0 })
    return this.#told.get(key)
  }

  #sent(message) {
    if (message.t === 'sub') this.#asked.set(message.sub, this.told(message))
  }

  #note(told, data) {
    this.bytes += data.length
    const { t, floor = 0 } = JSON.parse(data)
    if (t === 'reset') told.resets += 1
    else if (t === 'complete') told.floor = floor
  }
}

/** What one subscription of a page was told, as pages and the wire tell it. */
export class Told {
  events = []
  answers = []
  #faults = []
  #version = 0
  #resets = 0
  #subscription
  #wire

  constructor(subscription, wire, types) {
    this.#subscription = subscription
    this.#wire = wire
    for (const type of types) subscription.onEvent(type, (data) => this.events.push({ type, data }))
    subscription.addChangeListener(() => this.#see())
  }

  /** No client may see a version that is lower than the one before, unless the server began anew. */
  #see() {
    const { version } = this.#subscription
    const { resets } = this.#wire
    if (resets === this.#resets && version < this.#version) this.#faults.push(`version ${version} after ${this.#version}`)
    this.#version = version
    this.#resets = resets
  }

  /** Notes what a cancel or a write is answered with. */
  answered(asked) {
    asked.then(
      (version) => this.answers.push(version ?? 'ok'),
      ({ code }) => this.answers.push(code),
    )
  }

  /** The answer to `look`; `view` is what the page shows. */
  look({ data, ready, status, error }) {
    const items = Array.isArray(data) ? data : [data].filter(Boolean)
    const { events, answers } = this
    const { version } = this.#subscription
    return { live: status === 'live', items: ready ? items : null, version, error: error ?? null, events, answers, faults: this.#faults, ...this.#wire }
  }
}

/**
 * Answers commands until the end of input. `start(network, url, token?)` makes a client with the methods
 * `subscribe(as, wanted)`, `unsubscribe(as)`, `more(as, limit)`, `state(as, state)`, `cancel(as, id)`,
 * `write(as, {verb, id, body, options})` and `look(as)`.
 */
export async function drive(start) {
  const clients = new Map()

  async function run({ do: verb, client: name, as, url, ...more }) {
    if (!clients.has(name)) {
      const network = new Network()
      clients.set(name, { network, client: await start(network, url, more.tokens && tokens(network, more.tokens)) })
    } else if (verb === 'connect') clients.get(name).network.mend()
    const { network, client } = clients.get(name)
    if (verb === 'look') return { ...(await client.look(as)), bytes: network.bytes, tokens: network.tokens }
    if (['cut', 'stall', 'unstall'].includes(verb)) network[verb]()
    else if (verb === 'subscribe') await client.subscribe(as, more)
    else if (verb === 'unsubscribe') await client.unsubscribe(as)
    else if (verb === 'more') await client.more(as, more.limit)
    else if (verb === 'state') await client.state(as, more.state)
    else if (verb === 'cancel') await client.cancel(as, more.id)
    else if (verb === 'write') await client.write(as, asked(more))
    else if (verb !== 'connect') return { error: `unknown command '${verb}'` }
    return {}
  }

  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`)
  }
  process.exit(0)
}

/** A token function that goes through a list; null is a failure. The last one is given again and again. */
function tokens(network, list) {
  return async () => {
    network.tokens++
    const next = list.length > 1 ? list.shift() : list[0]
    if (next === null) throw new Error('there is no token now')
    return next
  }
}

/** A write as a page asks for it. */
function asked({ set, update, delete: gone, send, id, data, ops, if_version: ifVersion, key, offline }) {
  const options = JSON.parse(JSON.stringify({ ifVersion, key, offline }))
  if (send) return { verb: 'send', id, body: [send], options: { offline } }
  if (set !== undefined) return { verb: 'set', id: set, body: [data], options }
  if (update !== undefined) return { verb: 'update', id: update, body: [ops], options }
  return { verb: 'delete', id: gone, body: [], options }
}
