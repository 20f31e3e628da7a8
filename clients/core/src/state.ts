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
  readonly #only: string | undefined
  #held = new Map<string, Held>()
  #draft: Map<string, Held> | undefined
  #items = NONE
  #dirty = false
  /** Whether the map, which keeps the order of insertion, is in creation order. */
  #ordered = true
  #newest = 0
  #completed = 0

  constructor(only?: string) {
    this.#only = only
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
    this.whole = this.#dirty = true
    this.#ordered = false
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
    this.live = false
    this.version = this.#completed
  }

  reset(epoch: string): void {
    this.live = false
    this.#draft = new Map()
    this.epoch = epoch
    this.version = this.floor = 0
  }

  /** Part of a catch-up. What is not newer than what is held of an id is dropped. */
  page(items: Held[] = [], gone: [number, string][] = []): void {
    this.live = false
    const draft = (this.#draft ??= new Map(this.#held))
    for (const [version, id] of gone) {
      const held = draft.get(id)
      if (held && held[0] < version) draft.delete(id)
    }
    for (const [version, created, data] of items) {
      const held = draft.get(data.id)
      if (!held || held[0] < version) {
        draft.set(data.id, [version, created, share((held ?? this.#held.get(data.id))?.[2], data)])
      }
    }
  }

  /** The draft becomes the state. */
  complete(version: number, epoch: string, floor = 0): void {
    if (this.#draft) {
      this.#held = this.#draft
      this.#draft = undefined
      this.#dirty = true
      this.#ordered = false
    }
    this.version = this.#completed = version
    this.epoch = epoch
    this.floor = floor
    this.live = this.whole = true
  }

  /** A live create or replacement. False when it is not for this subscription. */
  set(version: number, created: number, data: Item): boolean {
    if (!this.#takes(version, data.id) || created < this.floor) return false
    this.#put(version, created, share(this.#held.get(data.id)?.[2], data))
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
    this.#held.delete(id)
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
    return true
  }
}
