/**
 * What a client holds of one subscription, and how messages change it (WIRE.md sections 4 to 6). Pure, no I/O.
 *
 * While a catch-up is under way its pages gather in a draft; what is shown stays the last whole state until
 * `complete`.
 */

import { applyOperations, Lost, share } from './delta.ts'
import type { Item, Operation } from './types.ts'

/** One item as it is held: its version, its creating version, its data. */
export type Held = [version: number, created: number, data: Item]

const NONE: readonly Item[] = []

export class State {
  epoch = ''
  /** The group version of what is held; with `epoch` the cursor to resume from. */
  version = 0
  /** The creating version of a window's oldest item; 0 when everything is held. */
  floor = 0
  live = false
  /** Whether there has been a whole state. */
  whole = false
  /** Items that a window is to hold; 0 where this is none. */
  size: number
  /** The server was asked for older items of the window and has not answered. */
  filling = false
  /** The answer has begun to come. */
  #answered = false
  /** Items below the floor, as far as they are known: at least so many. */
  #older = 0
  /** What was asked for last brought nothing, and nothing has happened since. */
  #stuck = false
  readonly #only: string | undefined
  #held = new Map<string, Held>()
  #draft: Map<string, Held> | undefined
  #items = NONE
  #dirty = false
  /** Whether the map, which keeps the order of insertion, is in creation order. */
  #ordered = true
  #newest = 0
  #completed = 0

  constructor(only?: string, size = 0) {
    this.#only = only
    this.size = size
  }

  /** Older items that a window lacks; one, where it is not known whether there still are any. */
  get short(): number {
    if (!this.size || !this.floor || this.#stuck) return 0
    return Math.max(this.size - this.#held.size, this.#older > 0 ? 0 : 1)
  }

  /** The items in creation order. The same array until an item changes, with the same objects for items that did not. */
  get items(): readonly Item[] {
    if (!this.#dirty) return this.#items
    this.#dirty = false
    if (!this.#ordered) this.#order()
    const items: Item[] = []
    for (const held of this.#held.values()) items.push(held[2])
    const same = items.length === this.#items.length && items.every((item, at) => item === this.#items[at])
    return same ? this.#items : (this.#items = items)
  }

  get(id: string): Held | undefined {
    return this.#held.get(id)
  }

  /** What a later client can begin with. */
  save(): Held[] {
    return [...this.#held.values()]
  }

  restore(epoch: string, version: number, floor: number, held: Held[]): void {
    this.#held = new Map(held.map((one) => [one[2].id, one]))
    this.epoch = epoch
    this.version = version
    this.floor = floor
    if (this.size) this.size = Math.max(this.size, this.#held.size)
    this.whole = this.#dirty = true
    this.#ordered = false
  }

  /** The server is asked for older items. */
  ask(): void {
    this.filling = true
    this.#answered = false
  }

  /** A subscription has begun, from the cursor or from nothing; what an earlier one left unfinished is void. */
  begin(): void {
    this.live = false
    this.#draft = this.version ? undefined : new Map()
  }

  fallBehind(): void {
    this.live = false
  }

  /** A frame was lost, nobody knows which: what came since the last `complete` must be asked for again. */
  lose(): void {
    this.live = this.filling = false
    this.version = this.#completed
  }

  reset(epoch: string): void {
    this.live = this.filling = false
    this.#draft = new Map()
    this.epoch = epoch
    this.version = this.floor = 0
  }

  /**
   * Part of a catch-up. What is not newer than what is held of an id is dropped, and so is what lies below the window,
   * unless it was asked for (`older`).
   */
  page(items: Held[] = [], gone: [number, string][] = [], older = false): void {
    this.live = false
    this.#answered ||= older
    const draft = (this.#draft ??= new Map(this.#held))
    for (const [version, id] of gone) {
      const held = draft.get(id)
      if (held && held[0] < version) draft.delete(id)
      else if (!held) this.#older = 0
    }
    for (const [version, created, data] of items) {
      const held = draft.get(data.id)
      if (held ? held[0] < version : older || created >= this.floor) {
        draft.set(data.id, [version, created, share((held ?? this.#held.get(data.id))?.[2], data)])
      }
    }
  }

  /** The draft becomes the state. */
  complete(version: number, epoch: string, floor = 0): void {
    const before = this.#held.size
    if (this.#draft) {
      this.#held = this.#draft
      this.#draft = undefined
      this.#dirty = true
      this.#ordered = false
    }
    const filled = this.filling && this.#answered
    this.#stuck = filled && floor === this.floor && this.#held.size === before
    if (filled || !this.floor) this.#older = +!!floor
    // A window that has dropped its oldest begins later than the server knows.
    this.floor = filled ? floor : Math.max(floor, this.floor)
    this.filling &&= !filled
    this.version = this.#completed = version
    this.epoch = epoch
    this.live = this.whole = true
    this.#trim()
  }

  /** A live create or replacement. False when it is not for this subscription. */
  set(version: number, created: number, data: Item): boolean {
    if (!this.#takes(version, data.id) || created < this.floor) return false
    this.#put(version, created, share(this.#held.get(data.id)?.[2], data))
    this.#trim()
    return true
  }

  /**
   * A live change by operations. False when it is not for this subscription.
   * @throws {Lost} the item is not held, or the operations do not fit it
   */
  patch(version: number, id: string, operations: Operation[]): boolean {
    if (!this.#takes(version, id)) return false
    const held = this.#held.get(id)
    if (!held && this.floor) return false
    if (!held) throw new Lost()
    this.#put(version, held[1], applyOperations(held[2], operations) as Item)
    return true
  }

  /** A live delete. False when it is not for this subscription. */
  gone(version: number, id: string): boolean {
    if (!this.#takes(version, id)) return false
    if (!this.#held.delete(id)) this.#older = Math.max(this.#older - 1, 0)
    return (this.#dirty = true)
  }

  #put(version: number, created: number, data: Item): void {
    if (this.#held.get(data.id)?.[1] !== created) {
      this.#held.delete(data.id)
      this.#ordered &&= created > this.#newest
      this.#newest = created
    }
    this.#held.set(data.id, [version, created, data])
    this.#dirty = true
  }

  /** A window keeps its size: the oldest go. While older ones are on their way there must be no hole above them. */
  #trim(): void {
    if (!this.size || this.filling || this.#held.size <= this.size) return
    if (!this.#ordered) this.#order()
    for (const [id, [, created]] of this.#held) {
      this.floor = created
      if (this.#held.size <= this.size) break
      this.#held.delete(id)
      this.#older++
    }
  }

  #order(): void {
    const sorted = [...this.#held].sort((a, b) => a[1][1] - b[1][1])
    this.#held = new Map(sorted)
    this.#newest = sorted.at(-1)?.[1][1] ?? 0
    this.#ordered = true
  }

  /** Whether a live frame is for this subscription; moves the cursor if so. */
  #takes(version: number, id: string): boolean {
    if (!this.live || version <= this.version || (this.#only !== undefined && this.#only !== id)) return false
    this.version = version
    this.#stuck = false
    return true
  }
}
