import { readFileSync } from 'node:fs'

import { describe, expect, test } from 'vitest'

import { Store, type Subscribed } from '../src/store.ts'

const read = (name: string): any[] => JSON.parse(readFileSync(new URL(`../../../spec/fixtures/${name}.json`, import.meta.url), 'utf8'))

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
      const store = new Store(
        () => {},
        (message) => sent.push(message),
      )
      let subscribed!: Subscribed
      store.connected()
      for (const [verb, argument] of one.do) {
        if (verb === 'subscribe') subscribed = store.subscribe(argument)
        else if (verb === 'unsubscribe') store.unsubscribe(subscribed)
        else if (verb === 'received') store.received(argument)
        else if (verb === 'more') store.more(subscribed, argument)
        else if (verb === 'state') store.setState(subscribed, argument)
        else if (verb === 'connected') store.connected()
        else store.disconnected()
      }
      expect(JSON.parse(JSON.stringify(sent))).toEqual(one.sent)
    })
  }
})
