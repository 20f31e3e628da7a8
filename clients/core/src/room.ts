/**
 * What all subscriptions of one client to the same group or item share: one subscription on the wire, its state, and
 * when its followers hear of a change.
 */

import { overlaid, type Change, type Overlay, reached } from './optimistic.ts'
import type { Subscribed } from './store.ts'
import type { Item, StreamEvent } from './types.ts'

/** How long a change that the server has accepted may be shown without the state showing it. */
const SETTLE_MS = 10_000

export interface Follower {
  /** Something that it shows may have changed. */
  refresh(): void
  hear(event: StreamEvent): void
}

export class Room {
  readonly subscribed: Subscribed
  readonly followers = new Set<Follower>()
  #overlays: Overlay[] = []
  #base: readonly Item[] | undefined
  #shown: readonly Item[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #waiting: (() => void)[] = []

  constructor(subscribed: Subscribed) {
    this.subscribed = subscribed
  }

  /** The items, with what is shown before the server has it. */
  get items(): readonly Item[] {
    const base = this.subscribed.state.items
    if (!this.#overlays.length) return base
    if (base !== this.#base) {
      this.#base = base
      this.#shown = overlaid(base, this.#overlays)
    }
    return this.#shown
  }

  /** Followers hear of it soon; what arrives in one burst is told once. */
  changed(): void {
    this.#timer ??= setTimeout(() => this.tell(), 0)
  }

  /** Followers hear of it now. */
  tell(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#settle()
    if (!this.subscribed.more) for (const resolve of this.#waiting.splice(0)) resolve()
    for (const follower of [...this.followers]) follower.refresh()
  }

  /** An event follows the changes before it. */
  hear(event: StreamEvent): void {
    if (this.#timer) this.tell()
    for (const follower of [...this.followers]) follower.hear(event)
  }

  /** Resolves when the older items that were asked for are here. */
  whenMore(): Promise<void> {
    return this.subscribed.more ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()
  }

  /** Show a change now; `written` is the write that makes it true. */
  async overlay(id: string, change: Change<any>, written: Promise<unknown>): Promise<void> {
    const overlay: Overlay = { id, change, made: this.#versionOf(id), until: undefined }
    this.#put([...this.#overlays, overlay])
    try {
      const answer: any = await written
      // A `fetch` that the server refuses does not fail.
      if (answer?.ok === false) throw answer
      overlay.until = typeof answer === 'number' ? answer : 0
      setTimeout(() => this.#remove(overlay), SETTLE_MS)
      this.tell()
    } catch {
      this.#remove(overlay)
    }
  }

  #versionOf(id: string): number {
    return this.subscribed.state.get(id)?.[0] ?? 0
  }

  #settle(): void {
    const { version } = this.subscribed.state
    const left = this.#overlays.filter((one) => !reached(one, version, this.#versionOf(one.id)))
    if (left.length < this.#overlays.length) {
      this.#overlays = left
      this.#base = undefined
    }
  }

  #remove(overlay: Overlay): void {
    if (this.#overlays.includes(overlay)) this.#put(this.#overlays.filter((one) => one !== overlay))
  }

  #put(overlays: Overlay[]): void {
    this.#overlays = overlays
    this.#base = undefined
    this.tell()
  }
}
