/**
 * All that one client is subscribed to, over one connection at a time. Pure: messages in, messages out, no I/O.
 *
 * Whoever owns a connection calls `connected`, `received` and `disconnected`, and is handed what to send. The store
 * asks again for what a lost connection interrupted, from the last cursor.
 */

import { Lost } from './delta.ts'
import { given } from './given.ts'
import { toText } from './numbers.ts'
import { offline } from './refused.ts'
import { State } from './state.ts'
import type { Ended, Json } from './types.ts'
import { type Limits, LIMITS, Writes, type Written } from './writes.ts'

const EXPIRED = 'TOKEN_EXPIRED'
/** Refusals of a subscription that stand until who asks has another token. */
const ACCESS = new Set(['REVOKED', 'STREAM_ACCESS_DENIED'])
/** Those that stand no longer than that, or than a connection. */
const PASSING = new Set([...ACCESS, EXPIRED, 'STREAM_UNKNOWN'])
/** Refusals of a write that may be tried again as it was. */
const BUSY = new Set(['TOO_MANY', 'STORE_UNAVAILABLE'])
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

/** Who is asked for what takes time. */
export interface Helpers {
  /** Bring another token, which `auth` gets. False: there will be none. */
  renew(): boolean
  /** Call `goOn` before long. */
  pause(): void
}

/** A write, or an event: what `t` says, and whatever goes with it. */
export interface Asked extends Json {
  readonly t: 'set' | 'update' | 'delete' | 'send'
  readonly stream: string
  readonly group: string
  readonly id?: string | undefined
}

export class Store {
  readonly #watch: Watcher
  readonly #send: (message: Json) => void
  readonly #open = new Map<number, Subscribed>()
  readonly #feeds = new Map<number, Set<Subscribed>>()
  /** Ended for what may change, by number: a stream that there is not, or whoever asks may not follow it. */
  readonly #ended = new Map<number, Subscribed>()
  readonly #questions = new Map<number, Settle>()
  readonly #writes: Writes
  readonly #helpers: Helpers
  readonly #epochs = new Map<string, string>()
  #epoch = ''
  /** Nobody knows who asks, until there is another token. */
  #expired = false
  #numbers = 0
  #connected = false
  #most = MOST_BYTES

  constructor(watch: Watcher, send: (message: Json) => void, helpers: Helpers = { renew: () => false, pause() {} }, limits: Limits = LIMITS) {
    this.#watch = watch
    this.#send = send
    this.#helpers = helpers
    this.#writes = new Writes(limits, (message) => this.#number(message))
  }

  /** Whether all that was not refused is the server's state. */
  get live(): boolean {
    for (const { state } of this.#open.values()) if (!state.live) return false
    for (const { error } of this.#ended.values()) if (!error) return false
    return true
  }

  /** The epoch that versions of a stream's items are of; empty where it is not known. */
  epochOf(stream: string): string {
    return this.#epochs.get(stream) ?? this.#epoch
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
    const awaited = this.#ended.delete(subscription.number)
    if (this.#open.delete(subscription.number) || awaited) this.#tell({ t: 'unsub', sub: subscription.number })
    this.#detach(subscription)
  }

  /** Make a window larger; while it is not live, older items are not asked for yet. */
  more(subscription: Subscribed, limit: number): void {
    if (!subscription.state.size) return
    subscription.state.size += limit
    this.#fill(subscription)
  }

  /**
   * Change the client's own state in a group. One that the server refuses is not said again after a reconnect; one that
   * it could not be asked about is said with the next connection, which is no refusal.
   */
  setState(subscription: Subscribed, state: Json, settle: Settle): void {
    subscription.presence = state
    this.#question({ t: 'state', sub: subscription.number, state }, (refusal) => {
      if (refusal?.code === 'OFFLINE') return settle()
      if (!refusal) subscription.present = state
      else if (subscription.presence === state) subscription.presence = subscription.present
      // Where the subscription was refused meanwhile, that is why.
      settle(refusal && (subscription.error ?? refusal))
    })
  }

  /** Stop the run that has claimed an item; of a subscription to one item, that item. */
  cancel(subscription: Subscribed, id: string | undefined, settle: Settle): void {
    if (subscription.error) settle(subscription.error)
    else this.#question({ t: 'cancel', sub: subscription.number, id }, settle)
  }

  /** Write, or send an event. `waits`: for a connection too, where there is none. */
  write(asked: Asked, waits: boolean, written: Written): void {
    const refusal = given(asked) ?? this.#tooLarge(asked)
    if (refusal) written(refusal)
    else this.#writes.add(asked, toText(asked).length, waits, written)
  }

  /** What was held up by a refusal that passes. */
  goOn(): void {
    if (this.#connected) this.#writes.go()
  }

  /** No connection is to be expected soon; `ends`: none at all. */
  gone(reason: string, ends = false): void {
    this.#writes.refuse(offline(reason), ends)
  }

  /** Say who asks by another token. What was refused for who asked is asked for again. */
  auth(token: string, settle: Settle): void {
    this.#question({ t: 'auth', token }, (refusal) => {
      if (!refusal) {
        for (const subscription of this.#restart(true)) {
          this.#ask(subscription)
          this.#watch(subscription, 'behind')
        }
        this.#writes.go()
      }
      settle(refusal)
    })
  }

  /** There is no new token instead of one that has expired, so far. */
  stale(reason: string): void {
    if (!this.#expired) return
    const refusal = { code: EXPIRED, message: `the token has expired, and there is no new one: ${reason}` }
    for (const subscription of this.#ended.values()) {
      if (subscription.error) continue
      subscription.error = refusal
      this.#watch(subscription, 'error', refusal)
    }
    this.#writes.refuse(refusal)
  }

  /** A connection is open: ask for everything, each from where it stands. `anew`: by another token than before. */
  connected(anew = false): void {
    this.#connected = true
    this.#restart(anew)
    for (const subscription of this.#open.values()) this.#ask(subscription)
    this.#writes.go()
  }

  /** The connection is gone; what is held stays. */
  disconnected(): void {
    this.#connected = false
    this.#feeds.clear()
    this.#writes.disconnected()
    for (const ask of this.#questions.keys()) this.#settle(ask, offline('the connection ended before the server answered'))
    for (const subscription of this.#open.values()) {
      subscription.feed = undefined
      subscription.state.filling = false
      subscription.state.fallBehind()
    }
  }

  /** Take one message of the server. One that this version does not know is ignored. */
  received(message: Json): void {
    if (message.t === 'hello') {
      this.#most = message.max ?? MOST_BYTES
      this.#epoch = message.epoch
    } else if (message.t === 'expiring') this.#helpers.renew()
    else if (message.t === 'appeared') {
      const subscription = this.#ended.get(message.sub)
      if (!subscription) return
      this.#begin(subscription)
      this.#ask(subscription)
      this.#watch(subscription, 'behind')
    } else if (message.ask !== undefined) this.#answered(message)
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
        this.#epochs.set(subscription.wanted.stream, message.epoch)
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
        break
      case 'revoked':
        this.#failed(subscription, { ...message, ended: true })
    }
  }

  #answered(message: Json): void {
    const { t, ask, sub: _, ...said } = message
    const refusal = t === 'ok' ? undefined : (said as Ended)
    this.#writes.answered(message, refusal, ({ code }, waits) => (code === EXPIRED ? this.#renews() : waits && BUSY.has(code) && this.#pauses()))
    this.#settle(ask, refusal)
  }

  /** What is asked waits for another token, unless there will be none. */
  #renews(): boolean {
    this.#expired = true
    if (!this.#helpers.renew()) return false
    this.#writes.hold()
    return true
  }

  #pauses(): true {
    this.#writes.hold(true)
    this.#helpers.pause()
    return true
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

  /** Those that ended for what may have changed begin again; `all`: also those that another token may change. */
  #restart(all: boolean): Subscribed[] {
    this.#expired = false
    const again = [...this.#ended.values()].filter(({ error }) => all || !ACCESS.has(error?.code!))
    for (const subscription of again) this.#begin(subscription)
    return again
  }

  #begin(subscription: Subscribed): void {
    this.#ended.delete(subscription.number)
    subscription.error = undefined
    subscription.number = ++this.#numbers
    this.#open.set(subscription.number, subscription)
  }

  #failed(subscription: Subscribed, { t: _, sub: _sub, ended, ...error }: Json): void {
    const waits = error.code === EXPIRED && this.#renews()
    if (ended) {
      if (!waits) subscription.error = error as Ended
      subscription.state.fallBehind()
      this.#open.delete(subscription.number)
      this.#detach(subscription)
      if (PASSING.has(error.code)) this.#ended.set(subscription.number, subscription)
    }
    this.#watch(subscription, waits ? 'behind' : 'error', error)
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
    this.#questions.set(this.#number(message), settle)
  }

  /** Ask it, under a number of its own. */
  #number(message: Json): number {
    const ask = ++this.#numbers
    this.#tell({ ...message, ask })
    return ask
  }

  /** Why a message must not be sent: the server ends a connection on which one comes that is too large. */
  #tooLarge(message: Json): Ended | undefined {
    const text = toText(message)
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
