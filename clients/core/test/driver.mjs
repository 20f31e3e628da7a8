/**
 * The store of this client behind standard input and output, for the language-neutral scenarios; what it answers is
 * told in the Python package, `headwater.testing.driver`.
 */

import { createInterface } from 'node:readline'

import WebSocket from 'ws'

import { Store } from '../dist/store.js'

class Seen {
  whole = false
  version = 0
  events = []
  resets = 0
  faults = []

  constructor(subscribed) {
    this.subscribed = subscribed
  }

  told(what, value) {
    const { version } = this.subscribed.state
    if (what === 'event') this.events.push(value)
    else if (what === 'reset') {
      this.resets += 1
      this.version = 0
    } else if (what === 'state') {
      if (this.whole && version < this.version) this.faults.push(`version ${version} after ${this.version}`)
      this.whole = true
      this.version = version
    }
  }

  look() {
    const { state, error = null } = this.subscribed
    const { live, version, floor } = state
    const { events, resets, faults } = this
    return { live, version, floor, items: this.whole ? state.items : null, events, error, resets, faults }
  }
}

class Client {
  seen = new Map()
  bytes = 0
  socket = null
  store = new Store(
    (subscribed, what, value) => {
      for (const seen of this.seen.values()) if (seen.subscribed === subscribed) seen.told(what, value)
    },
    (message) => this.socket.send(JSON.stringify(message)),
  )

  async connect(url) {
    this.cut()
    const socket = new WebSocket(url.replace('http', 'ws'), ['headwater.v1'], { perMessageDeflate: false })
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = reject
    })
    this.socket = socket
    this.bytes = 0
    socket.on('message', (data) => {
      if (socket !== this.socket) return
      this.bytes += data.length
      this.store.received(JSON.parse(data))
    })
    socket.on('close', () => socket === this.socket && this.cut())
    this.store.connected()
  }

  cut() {
    const { socket } = this
    this.socket = null
    this.store.disconnected()
    socket?.terminate()
  }
}

const clients = new Map()

async function run({ do: verb, client: name, as, ...more }) {
  if (!clients.has(name)) clients.set(name, new Client())
  const client = clients.get(name)
  const seen = client.seen.get(as)
  switch (verb) {
    case 'connect':
      await client.connect(more.url)
      return {}
    case 'cut':
      client.cut()
      return {}
    case 'stall':
      client.socket.pause()
      return {}
    case 'unstall':
      client.socket.resume()
      return {}
    case 'subscribe':
      client.seen.set(as, new Seen(client.store.subscribe(more)))
      return {}
    case 'unsubscribe':
      client.store.unsubscribe(seen.subscribed)
      return {}
    case 'more':
      client.store.more(seen.subscribed, more.limit)
      return {}
    case 'state':
      client.store.setState(seen.subscribed, more.state)
      return {}
    case 'look':
      return { ...seen.look(), bytes: client.bytes }
    default:
      return { error: `unknown command '${verb}'` }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`)
}
