/**
 * The hooks behind standard input and output, for the language-neutral scenarios: what is answered is what is rendered,
 * by React as it is in development, under StrictMode.
 */

import { JSDOM } from 'jsdom'

import { drive, Told } from '../../core/test/driving.mjs'

const { window } = new JSDOM()
Object.assign(globalThis, { window, document: window.document })
globalThis.navigator ??= window.navigator
// What renders is told of after the document is there.
const { createElement, StrictMode, useLayoutEffect } = await import('react')
const { flushSync } = await import('react-dom')
const { createRoot } = await import('react-dom/client')
const { HeadwaterProvider, useStreamGroup, useStreamItem } = await import('../dist/index.js')

const Group = ({ as, wanted: { stream, group, limit, state }, began }) => {
  const view = useStreamGroup({ streamName: stream, groupId: group, limit, state })
  return createElement(Shown, { as, view, began })
}
const Item = ({ as, wanted: { stream, group, id }, began }) => {
  const view = useStreamItem({ streamName: stream, groupId: group, id })
  return createElement(Shown, { as, view, began })
}

function Shown({ as, view, began }) {
  const { data, ready, status, error, event } = view
  // Before the effects that make it hear the first event.
  useLayoutEffect(() => began(as, event, view), [event])
  return createElement('output', { name: as }, JSON.stringify({ data, ready, status, error }))
}

class Page {
  #network
  #url
  #token
  #root
  #place = document.createElement('div')
  #wanted = new Map()
  #followed = new Map()
  #left = new Map()

  constructor(network, url, token) {
    this.#network = network
    this.#url = url
    this.#token = token
    this.#root = createRoot(this.#place)
  }

  subscribe(as, wanted) {
    this.#wanted.set(as, wanted)
    this.#render()
  }

  unsubscribe(as) {
    this.#left.set(as, this.#shown(as))
    this.#wanted.delete(as)
    this.#render()
  }

  more(as, limit) {
    void this.#followed.get(as).view.loadMore(limit)
  }

  state(as, state) {
    this.#wanted.set(as, { ...this.#wanted.get(as), state })
    this.#render()
  }

  cancel(as, id) {
    const { told, view } = this.#followed.get(as)
    told.answered(view.cancel(id))
  }

  write(as, { verb, id, body, options }) {
    const { told, view } = this.#followed.get(as)
    const one = this.#wanted.get(as).id === undefined && verb !== 'send' ? [id] : []
    told.answered(view[verb](...one, ...body, { ...options, ...(verb === 'send' && { id }) }))
  }

  look(as) {
    return this.#followed.get(as).told.look(this.#left.get(as) ?? this.#shown(as))
  }

  #shown(as) {
    return JSON.parse(this.#place.querySelector(`output[name="${as}"]`).textContent)
  }

  #render() {
    const began = (as, subscription, view) => {
      const { stream, group, id, limit, events } = this.#wanted.get(as)
      const told = new Told(subscription, this.#network.told({ stream, group, id, limit }), events)
      this.#followed.set(as, { told, view })
    }
    const rooms = [...this.#wanted].map(([as, wanted]) => createElement(wanted.id === undefined ? Group : Item, { key: as, as, wanted, began }))
    const { WebSocket, prefix } = this.#network
    const options = { address: this.#url, WebSocket, prefix, ...(this.#token && { token: this.#token }) }
    const all = createElement(HeadwaterProvider, options, rooms)
    flushSync(() => this.#root.render(createElement(StrictMode, null, all)))
  }
}

await drive((network, url, token) => new Page(network, url, token))
