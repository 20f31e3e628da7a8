import { readFileSync } from 'node:fs'

import { afterEach, describe, expect, test, vi } from 'vitest'

import { openEvents } from '../src/events.ts'
import type { Json } from '../src/types.ts'
import { Store, type Subscribed } from '../src/store.ts'

const read = (name: string): any => JSON.parse(readFileSync(new URL(`../../../spec/fixtures/${name}.json`, import.meta.url), 'utf8'))

describe('what is received becomes the state', () => {
  for (const one of read('v1-store')) {
    test(one.name, () => {
      const events: unknown[] = []
      const sent: unknown[] = []
      const store = new Store(
        (_, what, value) => what === 'event' && events.push(value),
        (message) => sent.push(message),
      )
      store.connected()
      const subscribed = store.subscribe(one.subscription)
      for (const message of one.received) store.received(message)
      const { state, error } = subscribed
      // As texts, since a comparison of objects takes `__proto__` for what it is.
      expect(JSON.stringify(state.items)).toBe(JSON.stringify(one.items))
      const { live, version, floor } = state
      expect({ live, version, floor }).toEqual({ live: one.live, version: one.version ?? version, floor: one.floor ?? floor })
      expect(events).toEqual(one.events ?? [])
      expect(error?.code).toBe(one.error)
      if (one.sent) expect(JSON.parse(JSON.stringify(sent))).toEqual(one.sent)
    })
  }
})

describe('a client sends', () => {
  for (const one of read('v1-client')) {
    test(one.name, () => {
      const sent: unknown[] = []
      const answered: unknown[] = []
      const store = new Store(
        () => {},
        (message) => sent.push(message),
        { renew: () => one.renews ?? false, pause() {} },
      )
      let subscribed!: Subscribed
      store.connected()
      for (const [verb, argument, waits] of one.do) {
        if (verb === 'subscribe') subscribed = store.subscribe(argument)
        else if (verb === 'unsubscribe') store.unsubscribe(subscribed)
        else if (verb === 'received') store.received(argument)
        else if (verb === 'cancel') store.cancel(subscribed, argument, (refusal) => answered.push(refusal?.code ?? null))
        else if (verb === 'more') store.more(subscribed, argument)
        else if (verb === 'state') store.setState(subscribed, argument, () => undefined)
        else if (verb === 'write') store.write(argument, waits, (refusal, version) => answered.push(refusal?.code ?? version))
        else if (verb === 'auth') store.auth(argument, (refusal) => answered.push(refusal?.code ?? null))
        else if (verb === 'gone') store.gone(argument)
        else if (verb === 'stale') store.stale(argument)
        else if (verb === 'go on') store.goOn()
        else if (verb === 'connected') store.connected()
        else store.disconnected()
      }
      expect(JSON.parse(JSON.stringify(sent))).toEqual(one.sent)
      expect(answered).toEqual(one.answered ?? [])
    })
  }
})

describe('over event streams', () => {
  afterEach(() => vi.unstubAllGlobals())

  /** A link whose first response is `response`; what it asks for, and what it hears. */
  function link(response: string, token?: string) {
    const asked: { path: string; headers: Record<string, string> }[] = []
    const heard: Json[] = []
    vi.stubGlobal('fetch', async (url: URL, { headers }: { headers: Record<string, string> }) => {
      asked.push({ path: url.pathname + url.search, headers })
      const body = new ReadableStream<Uint8Array>({ start: (to) => to.enqueue(new TextEncoder().encode(response)) })
      return new Response(body)
    })
    const hearing = { ready() {}, opened() {}, alive() {}, lost() {}, heard: (message: Json) => void heard.push(message) }
    return { asked, heard, ...openEvents('/streams')(new URL('http://server'), token, hearing) }
  }

  for (const one of read('v1-events').requests) {
    test(one.name, async () => {
      const { asked, heard, send, close } = link(one.response ?? '', one.token)
      const answers = (one.response?.match(/data:/g) ?? []).length
      for (const message of one.sent) {
        send(message)
        await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(answers))
      }
      close()
      expect(asked.map(({ path }) => path)).toEqual(one.asked)
      expect(asked[0]!.headers.authorization).toBe(one.authorization)
    })
  }

  for (const one of read('v1-events').events) {
    test(one.name, async () => {
      const { heard, send, close } = link(one.bytes)
      send({ t: 'sub', sub: 5, stream: 'room', group: 'g' })
      await vi.waitFor(() => expect(heard).toHaveLength(1))
      close()
      const { f } = one.message
      expect(heard[0]).toEqual({ ...one.message, sub: 5, f: f && 5 })
    })
  }
})
