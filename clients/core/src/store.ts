/**
 * All that one client is subscribed to, over one connection at a time. Pure: messages in, messages out, no I/O.
 *
 * Whoever owns a connection calls `connected`, `received` and `disconnected`, and is handed what to send. The store
 * asks again for what a lost connection interrupted, from the last cursor.
 */

import { Lost } from './delta.ts'
import { offline } from './refused.ts'
import { State } from './state.ts'
import type { Ended, Json } from './types.ts'

export interface Wanted {
  readonly stream: string
  readonly group: string
  readonly id?: string | undefined
  readonly limit?: number | undefined
  /** The client's own presence state. */
  readonly state?: Json | undefined
}

/** One subscription on the wire. */
export interface Subscribed {
  number: number
  readonly wanted: Wanted
  presence: Json | undefined
  readonly state: State
  feed: number | undefined
  epoch: string
  error: Ended | undefined
  /** Older items wanted, and how many of them the server was asked for. */
  more: number
  asked: number
}

/** Told of each thing that a reader may see. */
export type Watcher = (subscription: Subscribed, what: 'state' | 'event' | 'behind' | 'reset' | 'error', value?: any) => void

/** Told how the server has answered a question: with nothing, which is yes, or why not. */
export type Settle = (refusal?: Ended) => void

export class Store {
  readonly #watch: Watcher
  readonly #send: (message: Json) => void
  readonly #open = new Map<number, Subscribed>()
  readonly #feeds = new Map<number, Set<Subscribed>>()
  readonly #questions = new Map<number, Settle>()
  #numbers = 0
  #connected = false

  constructor(watch: Watcher, send: (message: Json) => void) {
    this.#watch = watch
    this.#send = send
  }

  /** The subscriptions that the server has not ended. */
  get subscriptions(): Iterable<Subscribed> {
    return this.#open.values()
  }

  /** Follow a group, a window of it, or one item; `state` is what an earlier client left. */
  subscribe(wanted: Wanted, state = new State(wanted.id)): Subscribed {
    const number = ++this.#numbers
    const subscription: Subscribed = {
      number,
      wanted,
      presence: wanted.state,
      state,
      feed: undefined,
      epoch: '',
      error: undefined,
      more: 0,
      asked: 0,
    }
    this.#open.set(number, subscription)
    this.#ask(subscription)
    return subscription
  }

  unsubscribe(subscription: Subscribed): void {
    if (this.#open.delete(subscription.number)) this.#tell({ t: 'unsub', sub: subscription.number })
    this.#detach(subscription)
  }

  /** Ask for older items of a window; while it is not live, the question waits. */
  more(subscription: Subscribed, limit: number): void {
    subscription.more += limit
    this.#askForMore(subscription)
  }

  /** Change the client's own state in a group. */
  setState(subscription: Subscribed, state: Json): void {
    subscription.presence = state
    this.#tell({ t: 'state', sub: subscription.number, state })
  }

  /** Stop the run that has claimed an item; of a subscription to one item, that item. */
  cancel(subscription: Subscribed, id: string | undefined, settle: Settle): void {
    if (subscription.error || !this.#connected) return settle(subscription.error ?? offline('there is no connection to the server'))
    const ask = ++this.#numbers
    this.#questions.set(ask, settle)
    this.#tell({ t: 'cancel', sub: subscription.number, id, ask })
  }

  /** A connection is open: ask for everything, each from where it stands. */
  connected(): void {
    this.#connected = true
    for (const subscription of this.#open.values()) this.#ask(subscription)
  }

  /** The connection is gone; what is held stays. */
  disconnected(): void {
    this.#connected = false
    this.#feeds.clear()
    for (const ask of this.#questions.keys()) this.#settle(ask, offline('the connection ended before the server answered'))
    for (const subscription of this.#open.values()) {
      subscription.feed = undefined
      subscription.asked = 0
      subscription.state.fallBehind()
    }
  }

  /** Take one message of the server. One that this version does not know is ignored. */
  received(message: Json): void {
    if (message.ask !== undefined) this.#settle(message.ask, message.t === 'ok' ? undefined : (message as Ended & Json))
    else if (message.t === 'subscribed' || message.f === undefined) {
      const subscription = this.#open.get(message.sub)
      if (subscription) this.#catchUp(subscription, message)
    } else {
      for (const subscription of [...(this.#feeds.get(message.f) ?? [])]) {
        try {
          this.#apply(subscription, message)
        } catch (fault) {
          if (!(fault instanceof Lost)) throw fault
          this.#again(subscription)
        }
      }
    }
  }

  #catchUp(subscription: Subscribed, message: Json): void {
    const { state } = subscription
    switch (message.t) {
      case 'subscribed':
        this.#detach(subscription)
        state.begin()
        subscription.epoch = message.epoch
        subscription.feed = message.f
        this.#feeds.set(message.f, (this.#feeds.get(message.f) ?? new Set()).add(subscription))
        break
      case 'reset':
        state.reset(message.epoch)
        this.#watch(subscription, 'reset', message.reason)
        break
      case 'page':
        state.page(message.items, message.gone)
        break
      case 'complete':
        state.complete(message.v, subscription.epoch, message.floor)
        subscription.more -= subscription.asked
        subscription.asked = 0
        this.#askForMore(subscription)
        this.#watch(subscription, 'state')
        break
      case 'behind':
        state.fallBehind()
        this.#watch(subscription, 'behind')
        break
      case 'error':
        this.#failed(subscription, message)
    }
  }

  #apply(subscription: Subscribed, message: Json): void {
    const { state, wanted } = subscription
    let changed = false
    switch (message.t) {
      case 'set':
        changed = state.set(message.v, message.c, message.d)
        break
      case 'patch':
        changed = state.patch(message.v, message.i, message.o)
        break
      case 'gone':
        changed = state.gone(message.v, message.i)
        break
      case 'event':
        if (state.live && (wanted.id === undefined || wanted.id === message.i)) this.#watch(subscription, 'event', message.e)
    }
    if (changed) this.#watch(subscription, 'state')
  }

  /** Ask anew, under a new number, so that frames under way of the old one cannot be taken for it. */
  #again(subscription: Subscribed): void {
    this.unsubscribe(subscription)
    subscription.number = ++this.#numbers
    subscription.asked = 0
    subscription.state.lose()
    this.#open.set(subscription.number, subscription)
    this.#ask(subscription)
    this.#watch(subscription, 'behind')
  }

  #failed(subscription: Subscribed, { t: _, sub: _sub, ended, ...error }: Json): void {
    if (ended) {
      subscription.error = error as Ended
      subscription.state.fallBehind()
      this.#open.delete(subscription.number)
      this.#detach(subscription)
    }
    this.#watch(subscription, 'error', error)
  }

  #ask(subscription: Subscribed): void {
    const { number, wanted, presence, state } = subscription
    const { stream, group, id, limit } = wanted
    const resumes = state.epoch && state.version
    this.#tell({
      t: 'sub',
      sub: number,
      stream,
      group,
      id,
      limit,
      state: presence,
      from: resumes ? { epoch: state.epoch, v: state.version } : undefined,
      floor: resumes && limit ? state.floor : undefined,
    })
  }

  #askForMore(subscription: Subscribed): void {
    const { more, asked, state } = subscription
    if (!more || asked || !state.live) return
    if (!state.floor) subscription.more = 0
    else {
      subscription.asked = more
      this.#tell({ t: 'more', sub: subscription.number, limit: more })
    }
  }

  #settle(ask: number, refusal?: Ended): void {
    const settle = this.#questions.get(ask)
    this.#questions.delete(ask)
    settle?.(refusal)
  }

  #detach(subscription: Subscribed): void {
    if (subscription.feed !== undefined) this.#feeds.get(subscription.feed)?.delete(subscription)
    subscription.feed = undefined
  }

  #tell(message: Json): void {
    if (this.#connected) this.#send(message)
  }
}
