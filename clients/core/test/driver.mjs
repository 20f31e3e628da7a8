/** This client behind standard input and output, for the language-neutral scenarios; `sse`: over event streams. */

import { connect } from '../dist/index.js'
import { drive, Told } from './driving.mjs'

const transport = process.argv[2] ?? 'websocket'

class Page {
  #network
  #client
  #followed = new Map()

  constructor(network, url, token) {
    this.#network = network
    this.#client = connect(url, { WebSocket: network.WebSocket, prefix: network.prefix, transport, ...(token && { token }) })
  }

  subscribe(as, { stream, group, id, limit, state, events }) {
    const subscription = id === undefined ? this.#client.group(stream, group, { limit, state }) : this.#client.item(stream, group, id)
    const told = new Told(subscription, this.#network.told({ stream, group, id, limit }), events)
    this.#followed.set(as, { subscription, told })
  }

  unsubscribe(as) {
    this.#followed.get(as).subscription.close()
  }

  more(as, limit) {
    void this.#followed.get(as).subscription.loadMore(limit)
  }

  state(as, state) {
    this.#followed.get(as).subscription.setPresence(state)
  }

  cancel(as, id) {
    const { subscription, told } = this.#followed.get(as)
    told.answered(subscription.cancel(id))
  }

  write(as, { verb, id, body, options }) {
    const { subscription, told } = this.#followed.get(as)
    const one = subscription.wanted.id === undefined && verb !== 'send' ? [id] : []
    told.answered(subscription[verb](...one, ...body, { ...options, ...(verb === 'send' && { id }) }))
  }

  look(as) {
    const { subscription, told } = this.#followed.get(as)
    const { ready, status, error } = subscription
    return told.look({ data: subscription.getState(), ready, status, error })
  }
}

await drive((network, url, token) => new Page(network, url, token))
