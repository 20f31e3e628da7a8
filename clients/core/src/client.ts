/** A client of one server: its rooms, its connection, and what a page asks it for. */

import { Connection, type Token } from './connection.ts'
import { openEvents } from './events.ts'
import { copied, invalid, name, object } from './given.ts'
import { type Keep, recall, remember, restore } from './keep.ts'
import type { OpenLink } from './link.ts'
import { tellAll } from './listeners.ts'
import { updated } from './operations.ts'
import type { Change } from './optimistic.ts'
import { Refused } from './refused.ts'
import { type Follower, Room } from './room.ts'
import { openSocket, type SocketClass } from './socket.ts'
import { State } from './state.ts'
import { type Asked, type Settle, Store, type Subscribed, type Wanted } from './store.ts'
import { GroupSubscription, type House, ItemSubscription } from './subscription.ts'
import { type DataOf, type Item, type ItemOf, type Json, page, type SendOptions, type Status, type StreamEvent, type Streams, type UpdateOperation, type WriteOptions } from './types.ts'
import { type Limits, LIMITS } from './writes.ts'

/** How long a write waits that the server was too busy for. */
const PAUSE_MS = 1_000

export interface Options {
  /** A token, or a function that is asked for one before each attempt to connect, and whenever the one before ends. */
  token?: Token
  /** How many writes, and how many characters of them, may wait for an answer; 1,000 and 1,000,000 where left out. */
  queue?: Partial<Limits>
  /** Keep what subscriptions hold over a refresh of the page: `sessionStorage` or the like. */
  keep?: Keep
  /** `auto` tries server-sent events where WebSockets do not open. */
  transport?: 'auto' | 'websocket' | 'sse'
  /** Where the server serves streams over plain HTTP. */
  prefix?: string
  /** A WebSocket class, where there is none, as in Node 20. */
  WebSocket?: SocketClass
  /** Connect with the first subscription, not before. */
  lazy?: boolean
}

export interface GroupOptions<T> {
  /** A window: only the newest so many items at first; `loadMore()` brings older ones. */
  limit?: number
  /** Sort by this member instead of by creation. */
  sortKey?: keyof T
  /** This client's own presence state, where the stream has presence. */
  state?: Json
  /** Do not begin before `open()`. */
  closed?: boolean
}

export class Client implements House {
  readonly #connection: Connection
  readonly #store: Store
  readonly #rooms = new Map<string, Room>()
  readonly #bySubscribed = new Map<Subscribed, Room>()
  readonly #listeners = new Set<(status: Status, reason: string) => void>()
  readonly #keep: Keep | undefined
  readonly #name: string
  /** What the keys of this client's writes begin with. */
  readonly #mark = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('')
  #keys = 0
  #token: string | undefined
  #shut = false
  #kept = new Map<string, any>()
  #told = 'connecting '

  constructor(address?: string | URL, options: Options = {}) {
    const url = httpUrl(address)
    const { transport = 'auto', token, keep } = options
    const socket = openSocket(options.WebSocket)
    const events = openEvents(options.prefix ?? '/streams')
    const openers: Record<string, OpenLink[]> = { auto: [socket, events], websocket: [socket], sse: [events] }
    this.#keep = keep
    this.#name = `headwater ${url.href}`
    this.#store = new Store(
      (subscribed, what, value) => this.#seen(subscribed, what, value),
      (message) => this.#connection.send(message),
      { renew: () => this.#connection.renew(), pause: () => setTimeout(() => this.#store.goOn(), PAUSE_MS) },
      { ...LIMITS, ...options.queue },
    )
    this.#connection = new Connection(url, openers[transport]!, token, {
      connected: () => {
        const { token } = this.#connection
        this.#store.connected(token !== this.#token)
        this.#token = token
      },
      disconnected: () => this.#store.disconnected(),
      received: (message) => this.#store.received(message),
      auth: (token, settle) =>
        this.#store.auth(token, (refusal) => {
          if (!refusal) this.#token = token
          settle(refusal)
        }),
      stale: (reason) => this.#store.stale(reason),
      changed: () => this.#changed(),
    })
    if (keep) this.#kept = recall(keep, this.#name)
    if (!options.lazy) this.open()
  }

  /** Connect, if that is not done; again after `close`. */
  open(): void {
    this.#shut = false
    this.#connection.open()
    if (this.#keep) page.addEventListener?.('pagehide', this.#remember)
  }

  /** End the connection. What subscriptions hold stays; `open` goes on from there. */
  close(): void {
    this.#shut = true
    this.#connection.close()
    this.#store.gone('the client was closed before the server answered', true)
    for (const room of this.#bySubscribed.values()) room.release()
    if (this.#keep) page.removeEventListener?.('pagehide', this.#remember)
  }

  /** The worst that any subscription is in. */
  get status(): Status {
    const { phase } = this.#connection
    if (phase !== 'open') return phase
    return this.#store.live ? 'live' : 'behind'
  }

  /** Why there is no connection; empty while there is one. */
  get reason(): string {
    return this.#connection.reason
  }

  get closed(): boolean {
    return this.#connection.closed
  }

  /** Called with the status and its reason now and whenever they change. Answers the way to end it. */
  onStatus(listener: (status: Status, reason: string) => void): () => void {
    this.#listeners.add(listener)
    listener(this.status, this.reason)
    return () => this.#listeners.delete(listener)
  }

  /** Follow a group. */
  group<S extends keyof Streams & string>(stream: S, group: string, options?: GroupOptions<ItemOf<S>>): GroupSubscription<ItemOf<S>>
  group<T extends Item = Item & Json>(stream: string, group: string, options?: GroupOptions<T>): GroupSubscription<T>
  group(stream: string, group: string, { limit, sortKey, state, closed }: GroupOptions<any> = {}): GroupSubscription<any> {
    const wanted = { stream, group: name(group), limit, state: state && object(state) }
    const subscription = new GroupSubscription(this, wanted, sortKey as never)
    return closed ? subscription : subscription.open()
  }

  /** Follow one item. */
  item<S extends keyof Streams & string>(stream: S, group: string, id: string, options?: { closed?: boolean }): ItemSubscription<ItemOf<S>>
  item<T extends Item = Item & Json>(stream: string, group: string, id: string, options?: { closed?: boolean }): ItemSubscription<T>
  item(stream: string, group: string, id: string, { closed = false } = {}): ItemSubscription<any> {
    const subscription = new ItemSubscription(this, { stream, group: name(group), id: name(id) })
    return closed ? subscription : subscription.open()
  }

  /**
   * Create or replace an item, following it or not; those who follow it on this client see it at once. Resolves with the
   * group's version once the server has kept it. A write is done once, also where its answer is lost with the connection
   * and it is said again.
   * @throws {Refused} the server's code; `OFFLINE`: there is no connection (with `offline`, the write waits for one);
   * `QUEUE_FULL`; `INVALID_INPUT`
   */
  set<S extends string>(stream: S, group: string, id: string, data: DataOf<ItemOf<S>>, options?: WriteOptions): Promise<number> {
    return this.#given({ t: 'set', stream, group, id }, options, () => {
      const d = object(data, 'item')
      return [{ d }, () => ({ ...d, id })]
    })
  }

  /** Change an item by operations; one that is not there is made of them. Else as `set`. */
  update(stream: string, group: string, id: string, operations: readonly UpdateOperation[], options?: WriteOptions): Promise<number> {
    return this.#given({ t: 'update', stream, group, id }, options, () => {
      const ops = copied(operations, 'list of operations')
      return [{ ops }, (item) => updated(item, ops)]
    })
  }

  /** Delete an item. Resolves with 0 where there was none, or the server does not tell. Else as `set`. */
  delete(stream: string, group: string, id: string, options?: WriteOptions): Promise<number> {
    return this.#given({ t: 'delete', stream, group, id }, options, () => [{}, () => undefined])
  }

  /**
   * Send an ephemeral event to those who follow the group now; with `id`, to those who follow that item or its group. It
   * is never said twice: where the connection is lost before the answer, nobody knows.
   * @throws {Refused} as `set`
   */
  async send(stream: string, group: string, event: StreamEvent, { id, offline }: SendOptions = {}): Promise<void> {
    await this.#given({ t: 'send', stream, group, id }, { offline }, () => [{ e: copied(event, 'event') }])
  }

  /**
   * Say anew who asks: by that token, or by what the token function answers now. What was refused to who asked before is
   * asked for again. Without a connection, and without a token, the next connection says it.
   * @throws {Refused} `UNAUTHENTICATED`, `AUTH_UNAVAILABLE`: who asks stays who it was
   */
  auth(token?: Token): Promise<void> {
    return this.#connection.auth(token)
  }

  enter(wanted: Wanted, follower: Follower): Room {
    this.open()
    const key = keyOf(wanted)
    // Who is there is there once for each who said so.
    let room = wanted.state ? undefined : this.#rooms.get(key)
    if (!room || room.subscribed.error) {
      const kept = this.#kept.get(key)
      this.#kept.delete(key)
      room = new Room(this.#store.subscribe(wanted, restore(new State(wanted.id, wanted.limit), kept)))
      this.#rooms.set(wanted.state ? `${key} ${room.subscribed.number}` : key, room)
      this.#bySubscribed.set(room.subscribed, room)
    }
    room.followers.add(follower)
    room.changed()
    this.#changed()
    return room
  }

  leave(room: Room, follower: Follower): void {
    room.followers.delete(follower)
    // A page that re-renders leaves and enters at once: nothing need be asked again.
    if (room.subscribed.presence) this.#vacate(room)
    else queueMicrotask(() => this.#vacate(room))
  }

  peek(wanted: Wanted): Room | undefined {
    return this.#rooms.get(keyOf(wanted))
  }

  more(room: Room, limit: number): void {
    this.#store.more(room.subscribed, limit)
  }

  cancel(room: Room, id?: string): Promise<void> {
    return new Promise((resolve, reject) => {
      // Where the subscription was refused meanwhile, that is why.
      const settle: Settle = (refusal) => (refusal ? reject(new Refused(room.subscribed.error ?? refusal)) : resolve())
      this.#store.cancel(room.subscribed, id, settle)
    })
  }

  present(room: Room, state: Json): Promise<void> {
    const copy = object(state)
    const said = new Promise<void>((resolve, reject) => {
      this.#store.setState(room.subscribed, copy, (refusal) => (refusal ? reject(new Refused(refusal)) : resolve()))
    })
    // Who does not wait for the answer finds it in the console.
    said.catch(({ code, message }) => console.warn(`headwater: presence in ${room.subscribed.wanted.stream}: ${code}: ${message}`))
    return said
  }

  /** Ask for a write that `read` reads: what its message holds beside, and what it makes of an item. */
  async #given(
    { t, ...where }: Asked,
    { key, ifVersion: v, offline: waits = false, optimistic = true }: WriteOptions = {},
    read: () => [Json, Change<any>?],
  ): Promise<number> {
    const { stream } = where
    const group = name(where.group)
    const id = t === 'send' ? name(where.id) : (name(where.id) ?? null)
    const [more, change] = read()
    const epoch = this.#store.epochOf(stream)
    if (v && !epoch) throw new Refused(invalid(`no version of ${stream} is known to this client`))
    const once = t === 'send' ? {} : { key: key ?? `${this.#mark}-${++this.#keys}`, if: v === undefined ? v : v ? { epoch, v } : { v } }
    // A page that is left must not be connected again by what it still does.
    if (!this.#shut) this.open()
    let ended = false
    const written = new Promise<number | undefined>((resolve, reject) => {
      this.#store.write({ t, stream, group, id, ...more, ...once }, waits, (refusal, version) => {
        ended = true
        if (refusal) reject(new Refused(refusal))
        else resolve(version)
      })
    })
    if (this.#connection.phase === 'offline') this.#store.gone(`there is no connection to the server: ${this.reason}`)
    if (change && optimistic && !ended) this.#show(stream, group, id!, change, written)
    return (await written) ?? 0
  }

  /** Show a change wherever its item is followed, as far as it can be told what it makes of that. */
  #show(stream: string, group: string, id: string, change: Change<any>, written: Promise<unknown>): void {
    for (const room of this.#bySubscribed.values()) {
      const { wanted, state, error } = room.subscribed
      if (wanted.stream !== stream || wanted.group !== group || (wanted.id ?? id) !== id || error || !state.whole) continue
      room.overlay(id, change, written, true).catch(() => {})
    }
  }

  #vacate(room: Room): void {
    if (room.followers.size || !this.#bySubscribed.delete(room.subscribed)) return
    for (const [key, one] of this.#rooms) if (one === room) this.#rooms.delete(key)
    this.#store.unsubscribe(room.subscribed)
    this.#changed()
  }

  #seen(subscribed: Subscribed, what: string, value: any): void {
    const room = this.#bySubscribed.get(subscribed)
    if (what === 'event') room?.hear(value)
    else room?.changed()
    // A page that does not look at errors would just stay empty.
    const { wanted, error } = subscribed
    if (what === 'error') console.warn(`headwater: ${wanted.stream}/${wanted.group} ${error ? 'has ended' : 'goes on'}: ${value.message} ${value.hint ?? ''}`.trim())
    this.#changed()
  }

  /** Tell of the status, where it has changed. */
  #changed(): void {
    const { status, reason } = this
    if (status === 'offline') this.#store.gone(`there is no connection to the server: ${reason}`)
    const now = `${status} ${reason}`
    if (now === this.#told) return
    this.#told = now
    tellAll(this.#listeners, status, reason)
    for (const room of this.#bySubscribed.values()) room.changed()
  }

  readonly #remember = (): void => {
    const rooms = [...this.#bySubscribed.values()].filter((room) => !room.subscribed.error && !room.subscribed.presence)
    remember(
      this.#keep!,
      this.#name,
      rooms.map(({ subscribed: { wanted, state } }) => [keyOf(wanted), state]),
    )
  }
}

/** A client of the server at `address` (http, https, ws or wss; the page's own server when left out). */
export const connect = (address?: string | URL, options?: Options): Client => new Client(address, options)

const keyOf = ({ stream, group, id, limit }: Wanted): string => JSON.stringify([stream, group, id, limit])

function httpUrl(address: string | URL = '/'): URL {
  const url = new URL(address, page.location?.href ?? 'http://localhost')
  url.protocol = url.protocol.replace('ws', 'http')
  url.hash = ''
  return url
}
