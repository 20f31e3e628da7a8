/** What a page holds: a subscription to a group or an item, with its listeners. */

import { isCount } from './given.ts'
import { tellAll } from './listeners.ts'
import type { Change } from './optimistic.ts'
import { offline, Refused } from './refused.ts'
import type { Follower, Room } from './room.ts'
import type { Wanted } from './store.ts'
import type { DataOf, Ended, Item, Json, SendOptions, Status, StreamEvent, UpdateOperation, WriteOptions } from './types.ts'

const NONE: readonly never[] = []

type Listener<View> = (state: View) => void
type EventListener = (data: any) => void

/** Where a subscription gets its room. */
export interface House {
  readonly status: Status
  readonly reason: string
  /** Nothing more is asked of the server. */
  readonly closed: boolean
  enter(wanted: Wanted, follower: Follower): Room
  leave(room: Room, follower: Follower): void
  peek(wanted: Wanted): Room | undefined
  more(room: Room, limit: number): void
  cancel(room: Room, id?: string): Promise<void>
  present(room: Room, state: Json): Promise<void>
  set(stream: string, group: string, id: string, data: any, options?: WriteOptions): Promise<number>
  update(stream: string, group: string, id: string, operations: readonly UpdateOperation[], options?: WriteOptions): Promise<number>
  delete(stream: string, group: string, id: string, options?: WriteOptions): Promise<number>
  send(stream: string, group: string, event: StreamEvent, options?: SendOptions): Promise<void>
}

export abstract class Subscription<View, T extends Item = Item> implements Follower {
  readonly wanted: Wanted
  protected readonly house: House
  #room: Room | undefined
  #told = ''
  #last: readonly Item[] | undefined
  /** What it held when it was closed. */
  #left: { items: readonly Item[]; version: number } | undefined
  readonly #changes = new Set<Listener<View>>()
  readonly #refreshes = new Set<() => void>()
  readonly #events = new Map<string, Set<EventListener>>()
  readonly #closings = new Set<() => void>()

  constructor(house: House, wanted: Wanted) {
    this.house = house
    this.wanted = wanted
  }

  /** What is shown now. The same object until it changes. */
  abstract getState(): View

  /** Begin, or begin again after `close`. */
  open(): this {
    this.#room ??= this.house.enter(this.wanted, this)
    this.#left = undefined
    return this
  }

  /** End it; what it holds stays as it is. The server hears of it when nobody else on this client follows the same. */
  close(): void {
    if (!this.#room) return
    if (this.ready) this.#left = { items: this.items, version: this.version }
    this.house.leave(this.#room, this)
    // Whoever waits for older items has what there is.
    if (!this.#room.followers.size) this.#room.release()
    this.#room = undefined
    tellAll(this.#closings)
  }

  /** Called with the state whenever it has changed. */
  addChangeListener(listener: Listener<View>): void {
    this.#changes.add(listener)
  }

  removeChangeListener(listener: Listener<View>): void {
    this.#changes.delete(listener)
  }

  /** Called with the data of each ephemeral event of that type. */
  onEvent(type: string, listener: EventListener): void {
    this.#events.set(type, (this.#events.get(type) ?? new Set()).add(listener))
  }

  offEvent(type: string, listener: EventListener): void {
    this.#events.get(type)?.delete(listener)
  }

  onClose(listener: () => void): void {
    this.#closings.add(listener)
  }

  /** Called when state, status or error have changed. Answers the way to end it. */
  subscribe(listener: () => void): () => void {
    this.#refreshes.add(listener)
    return () => this.#refreshes.delete(listener)
  }

  /** Whether a whole state has been seen; before that the state is empty. */
  get ready(): boolean {
    return !!this.#left || !!this.room?.subscribed.state.whole
  }

  get status(): Status {
    const { status } = this.house
    if (this.error) return 'offline'
    if (status !== 'live' && status !== 'behind') return status
    return this.room?.subscribed.state.live ? 'live' : 'behind'
  }

  /** Why it is not live. */
  get reason(): string {
    return this.error?.message ?? this.house.reason
  }

  /** Why the server ended it. */
  get error(): Ended | undefined {
    return this.room?.subscribed.error
  }

  /** The group's version that the state is. */
  get version(): number {
    return this.#left?.version ?? this.room?.subscribed.state.version ?? 0
  }

  /**
   * Show a change before the server has made it: `change` gets the item (undefined: there is none) and answers what it
   * will be (undefined: deleted). `written` is the write on its way: when it fails, or is a response that is not ok, the
   * change is taken back; else it gives way to the server's state. At which version of the group, the server's response
   * tells, or `written` resolves to it; where nobody does, when the item changes. An item that is shown under an id
   * which the server does not use gives way to the one that it has made.
   * @throws what `change` throws at first; `OFFLINE`: the subscription is closed
   */
  async optimistic(id: string, change: Change<T>, written: Promise<unknown>): Promise<void> {
    written.catch(() => {}) // Where the change fails at once, nobody waits for the write.
    if (!this.#room) throw new Refused(offline('the subscription is closed'))
    await this.#room.overlay(id, change, written)
  }

  /** Stop the run that has claimed an item. */
  protected async stop(id?: string): Promise<void> {
    if (!this.#room) throw new Refused(offline('the subscription is closed'))
    await this.house.cancel(this.#room, id)
  }

  /** The version of an item as the server has it, for `ifVersion`; 0 where there is none. */
  protected versionIn(id: string): number {
    return this.room?.subscribed.state.get(id)?.[0] ?? 0
  }

  /**
   * Change this client's presence state. It resolves when the server has it, or there is no connection: the next one
   * says it. It rejects with what the server refuses it for; who does not wait finds that in the console.
   * @throws {Refused} at once, `INVALID_INPUT`: it is no object that JSON can hold
   */
  setPresence(state: Json): Promise<void> {
    return this.#room ? this.house.present(this.#room, state) : Promise.resolve()
  }

  refresh(): void {
    const { items } = this
    const { status, reason, error } = this
    const seen = JSON.stringify([status, reason, error, this.ready, this.#room?.subscribed.state.floor])
    const changed = items !== this.#last
    if (!changed && seen === this.#told) return
    // The first whole state is a change, even when it is empty.
    const first = this.ready && this.#last === undefined
    if (this.ready) this.#last = items
    this.#told = seen
    if (first || (changed && this.ready)) tellAll(this.#changes, this.getState())
    tellAll(this.#refreshes)
  }

  hear({ type, data }: StreamEvent): void {
    tellAll(this.#events.get(type) ?? [], data)
  }

  protected get items(): readonly Item[] {
    return this.#left?.items ?? this.room?.items ?? NONE
  }

  /** Its room, while it is open. */
  protected get entered(): Room | undefined {
    return this.#room
  }

  protected get room(): Room | undefined {
    return this.#room ?? this.house.peek(this.wanted)
  }
}

/** A group: its items in creation order, or by `sortKey`. */
export class GroupSubscription<T extends Item = Item, View extends readonly T[] = readonly T[]> extends Subscription<View, T> {
  readonly #sortKey: keyof T | undefined
  #from: readonly Item[] = NONE
  #sorted: readonly T[] = NONE

  constructor(house: House, wanted: Wanted, sortKey?: keyof T) {
    super(house, wanted)
    this.#sortKey = sortKey
  }

  getState(): View {
    return this.#shown() as View
  }

  #shown(): readonly T[] {
    const items = this.items as readonly T[]
    const key = this.#sortKey
    if (key === undefined) return items
    if (items !== this.#from) {
      this.#from = items
      this.#sorted = [...items].sort((a, b) => compare(a[key], b[key]))
    }
    return this.#sorted
  }

  /**
   * Stop the run that has claimed an item of the group. Resolves when the server has accepted it; the run may take a
   * while to end, and says so in the item.
   * @throws {Refused} `RUN_UNKNOWN`: nothing that has not ended has claimed it; `OFFLINE`: nobody could be asked
   */
  cancel(id: string): Promise<void> {
    return this.stop(id)
  }

  /** Create or replace an item of the group, as `set` of the client does. Writing needs no open subscription. */
  set(id: string, data: DataOf<T>, options?: WriteOptions): Promise<number> {
    return this.house.set(this.wanted.stream, this.wanted.group, id, data, options)
  }

  /** Change an item by operations, as `update` of the client does. */
  update(id: string, operations: readonly UpdateOperation[], options?: WriteOptions): Promise<number> {
    return this.house.update(this.wanted.stream, this.wanted.group, id, operations, options)
  }

  /** Delete an item, as `delete` of the client does. */
  delete(id: string, options?: WriteOptions): Promise<number> {
    return this.house.delete(this.wanted.stream, this.wanted.group, id, options)
  }

  /** Send an ephemeral event to the group, as `send` of the client does. */
  send(event: StreamEvent, options?: SendOptions): Promise<void> {
    return this.house.send(this.wanted.stream, this.wanted.group, event, options)
  }

  /** The version of an item as the server has it, for `ifVersion`; 0 where there is none. */
  versionOf(id: string): number {
    return this.versionIn(id)
  }

  /** Whether there are older items than the window holds. */
  get hasMore(): boolean {
    return !!this.room?.subscribed.state.floor
  }

  /**
   * Extend a window by older items; as many as it began with where not told. Resolves when they are here, or will not
   * come: there are no more, or the subscription, or the client, is closed.
   */
  loadMore(limit = this.wanted.limit ?? 0): Promise<void> {
    const room = this.entered
    if (!room || !this.hasMore || !isCount(limit) || this.house.closed) return Promise.resolve()
    this.house.more(room, limit)
    return room.whenMore()
  }
}

/** One item; null while there is none. */
export class ItemSubscription<T extends Item = Item> extends Subscription<T | null, T> {
  getState(): T | null {
    return (this.items[0] as T | undefined) ?? null
  }

  /**
   * Stop the run that has claimed the item. Resolves when the server has accepted it; the run may take a while to end,
   * and says so in the item.
   * @throws {Refused} `RUN_UNKNOWN`: nothing that has not ended has claimed it; `OFFLINE`: nobody could be asked
   */
  cancel(): Promise<void> {
    return this.stop()
  }

  /** Create or replace the item, as `set` of the client does. Writing needs no open subscription. */
  set(data: DataOf<T>, options?: WriteOptions): Promise<number> {
    return this.house.set(this.wanted.stream, this.wanted.group, this.wanted.id!, data, options)
  }

  /** Change the item by operations, as `update` of the client does. */
  update(operations: readonly UpdateOperation[], options?: WriteOptions): Promise<number> {
    return this.house.update(this.wanted.stream, this.wanted.group, this.wanted.id!, operations, options)
  }

  /** Delete the item, as `delete` of the client does. */
  delete(options?: WriteOptions): Promise<number> {
    return this.house.delete(this.wanted.stream, this.wanted.group, this.wanted.id!, options)
  }

  /** Send an ephemeral event to those who follow the item or its group, as `send` of the client does. */
  send(event: StreamEvent, options?: Omit<SendOptions, 'id'>): Promise<void> {
    return this.house.send(this.wanted.stream, this.wanted.group, event, { ...options, id: this.wanted.id })
  }

  /** The item's version as the server has it, for `ifVersion`; 0 where there is none. */
  versionOf(): number {
    return this.versionIn(this.wanted.id!)
  }
}

function compare(a: unknown, b: unknown): number {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : +(a > b)
  return a == null || b == null ? +(a == null) - +(b == null) : String(a).localeCompare(String(b))
}

const isNumber = (value: unknown): value is number => typeof value === 'number' || typeof value === 'bigint'
