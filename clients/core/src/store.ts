/**
 * All that one client is subscribed to, over one connection at a time. Pure: messages in, messages out, no I/O.
 *
 * Whoever owns a connection calls `connected`, `received` and `disconnected`, and is handed what to send. The store
 * asks again for what a lost connection interrupted, from the last cursor.
 */

import { Lost } from './delta.ts'
import { given } from './given.ts'
import { offline } from './refused.ts'
import { State } from './state.ts'
import type { Ended, Json } from './types.ts'

/** Bytes of a message where the server has not said how many it takes. */
const MOST_BYTES = 1024 * 1024

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
  /** The client's own state as it is meant to be, and as the server is known to have taken it. */
  presence: Json | undefined
  present: Json | undefined
  readonly state: State
  feed: number | undefined
  epoch: string
  error: Ended | undefined
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
  /** Ended for a stream that there is not, by number. */
  readonly #unknown = new Map<number, Subscribed>()
  readonly #questions = new Map<number, Settle>()
  #numbers = 0
  #connected = false
  #most = MOST_BYTES

  constructor(watch: Watcher, send: (message: Json) => void) {
    this.#watch = watch
    this.#send = send
  }

  /** The subscriptions that the server has not ended. */
  get subscriptions(): Iterable<Subscribed> {
    return this.#open.values()
  }

  /** Follow a group, a window of it, or one item; `state` is what an earlier client left. */
  subscribe(wanted: Wanted, state = new State(wanted.id, wanted.limit)): Subscribed {
    const number = ++this.#numbers
    const subscription: Subscribed = {
      number,
      wanted,
      presence: wanted.state,
      present: wanted.state,
      state,
      feed: undefined,
      epoch: '',
      error: undefined,
    }
    this.#open.set(number, subscription)
    this.#ask(subscription)
    return subscription
  }

  unsubscribe(subscription: Subscribed): void {
    const awaited = this.#unknown.delete(subscription.number)
    if (this.#open.delete(subscription.number) || awaited) this.#tell({ t: 'unsub', sub: subscription.number })
    this.#detach(subscription)
  }

  /** Make a window larger; while it is not live, older items are not asked for yet. */
  more(subscription: Subscribed, limit: number): void {
    if (!subscription.state.size) return
    subscription.state.size += limit
    this.#fill(subscription)
  }

  /** Change the client's own state in a group. One that the server refuses is not said again after a reconnect. */
  setState(subscription: Subscribed, state: Json): void {
    subscription.presence = state
    this.#question({ t: 'state', sub: subscription.number, state }, (refusal) => {
      if (!refusal) subscription.present = state
      else if (refusal.code !== 'OFFLINE') {
        if (subscription.presence === state) subscription.presence = subscription.present
        this.#watch(subscription, 'error', refusal)
      }
    })
  }

  /** Stop the run that has claimed an item; of a subscription to one item, that item. */
  cancel(subscription: Subscribed, id: string | undefined, settle: Settle): void {
    if (subscription.error) settle(subscription.error)
    else this.#question({ t: 'cancel', sub: subscription.number, id }, settle)
  }

  /** A connection is open: ask for everything, each from where it stands. */
  connected(): void {
    this.#connected = true
    for (const subscription of [...this.#unknown.values()]) this.#begin(subscription)
    for (const subscription of this.#open.values()) this.#ask(subscription)
  }

  /** The connection is gone; what is held stays. */
  disconnected(): void {
    this.#connected = false
    this.#feeds.clear()
    for (const ask of this.#questions.keys()) this.#settle(ask, offline('the connection ended before the server answered'))
    for (const subscription of this.#open.values()) {
      subscription.feed = undefined
      subscription.state.filling = false
      subscription.state.fallBehind()
    }
  }

  /** Take one message of the server. One that this version does not know is ignored. */
  received(message: Json): void {
    if (message.t === 'hello') this.#most = message.max ?? MOST_BYTES
    else if (message.t === 'appeared') {
      const subscription = this.#unknown.get(message.sub)
      if (!subscription) return
      this.#begin(subscription)
      this.#ask(subscription)
      this.#watch(subscription, 'behind')
    } else if (message.ask !== undefined) this.#settle(message.ask, message.t === 'ok' ? undefined : (message as Ended & Json))
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
        this.#fill(subscription)
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
        state.page(message.items, message.gone, message.older)
        break
      case 'complete':
        state.complete(message.v, subscription.epoch, message.floor)
        this.#fill(subscription)
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
    subscription.state.lose()
    this.#open.set(subscription.number, subscription)
    this.#ask(subscription)
    this.#watch(subscription, 'behind')
  }

  /** One that ended for a stream which there was not begins again. */
  #begin(subscription: Subscribed): void {
    this.#unknown.delete(subscription.number)
    subscription.error = undefined
    subscription.number = ++this.#numbers
    this.#open.set(subscription.number, subscription)
  }

  #failed(subscription: Subscribed, { t: _, sub: _sub, ended, ...error }: Json): void {
    if (ended) {
      subscription.error = error as Ended
      subscription.state.fallBehind()
      this.#open.delete(subscription.number)
      this.#detach(subscription)
      if (error.code === 'STREAM_UNKNOWN') this.#unknown.set(subscription.number, subscription)
    }
    this.#watch(subscription, 'error', error)
  }

  /** Ask for a subscription. One that the server could not read, or whose size would cost the connection, ends here. */
  #ask(subscription: Subscribed): void {
    const { number, wanted, presence, state } = subscription
    const { stream, group, id, limit } = wanted
    const resumes = state.epoch && state.version
    const message = {
      t: 'sub',
      sub: number,
      stream,
      group,
      id,
      limit,
      state: presence,
      from: resumes ? { epoch: state.epoch, v: state.version } : undefined,
      floor: resumes && limit ? state.floor : undefined,
    }
    const refusal = given(wanted) ?? this.#tooLarge(message)
    if (refusal) this.#failed(subscription, { ...refusal, ended: true })
    else this.#tell(message)
  }

  /** Ask for older items, where a window is short of them. */
  #fill({ number, state }: Subscribed): void {
    const limit = state.short
    if (!limit || !state.live || state.filling || !this.#connected) return
    state.ask()
    this.#tell({ t: 'more', sub: number, limit, floor: state.floor })
  }

  #question(message: Json, settle: Settle): void {
    const refusal = this.#connected ? this.#tooLarge(message) : offline('there is no connection to the server')
    if (refusal) return settle(refusal)
    const ask = ++this.#numbers
    this.#questions.set(ask, settle)
    this.#tell({ ...message, ask })
  }

  /** Why a message must not be sent: the server ends a connection on which one comes that is too large. */
  #tooLarge(message: Json): Ended | undefined {
    const text = JSON.stringify(message)
    // No character has more than three bytes.
    const size = text.length * 3 < this.#most ? 0 : new TextEncoder().encode(text).length
    // As much as a question's number may take.
    if (size + 32 > this.#most) return { code: 'TOO_LARGE', message: `a message of ${size} bytes is more than the server takes (${this.#most})` }
  }

  #settle(ask: number, refusal?: Ended): void {
    const settle = this.#questions.get(ask)
    this.#questions.delete(ask)
    settle?.(refusal)
  }

  #detach(subscription: Subscribed): void {
    const { feed } = subscription
    subscription.feed = undefined
    if (feed === undefined) return
    const among = this.#feeds.get(feed)
    among?.delete(subscription)
    if (among?.size === 0) this.#feeds.delete(feed)
  }

  #tell(message: Json): void {
    if (this.#connected) this.#send(message)
  }
}
