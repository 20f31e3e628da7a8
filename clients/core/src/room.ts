/**
 * What all subscriptions of one client to the same group or item share: one subscription on the wire, its state, and
 * when its followers hear of a change.
 */

import { type Change, HOLD_MS, isTwin, Stack, versionIn } from './optimistic.ts'
import type { Subscribed } from './store.ts'
import type { Item, StreamEvent } from './types.ts'

export interface Follower {
  /** Something that it shows may have changed. */
  refresh(): void
  hear(event: StreamEvent): void
}

export class Room {
  readonly subscribed: Subscribed
  readonly followers = new Set<Follower>()
  readonly #stacks = new Map<string, Stack>()
  /** Items that have taken the place of one that was shown under another id. */
  readonly #twins = new Set<string>()
  #base: readonly Item[] | undefined
  #shown: readonly Item[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #again: ReturnType<typeof setTimeout> | undefined
  #waiting: (() => void)[] = []

  constructor(subscribed: Subscribed) {
    this.subscribed = subscribed
  }

  /** The items, with what is shown before the server has it. */
  get items(): readonly Item[] {
    const base = this.subscribed.state.items
    if (!this.#stacks.size) return base
    if (base !== this.#base) {
      this.#base = base
      this.#shown = this.#overlaid(base)
    }
    return this.#shown
  }

  /** Followers hear of it soon; what arrives in one burst is told once. */
  changed(): void {
    const { state } = this.subscribed
    for (const stack of this.#stacks.values()) {
      const [version, , item] = state.get(stack.id) ?? [state.version]
      stack.note(version, item, Date.now())
      if (stack.creates) this.#seek(stack, Date.now())
    }
    this.#timer ??= setTimeout(() => this.tell(), 0)
  }

  /** Followers hear of it now. */
  tell(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#settle()
    const { state, error } = this.subscribed
    if (!state.short || error) this.release()
    for (const follower of [...this.followers]) follower.refresh()
  }

  /** Nobody waits any longer. */
  release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** An event follows the changes before it. */
  hear(event: StreamEvent): void {
    if (this.#timer) this.tell()
    for (const follower of [...this.followers]) follower.hear(event)
  }

  /** Resolves when the older items that were asked for are here, or will not come. */
  whenMore(): Promise<void> {
    const { state, error } = this.subscribed
    return state.short && !error ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()
  }

  /** Show a change now; `written` is the write that makes it true, `own` whether that is one of this client. */
  async overlay(id: string, change: Change<any>, written: Promise<unknown>, own = false): Promise<void> {
    const { state, wanted } = this.subscribed
    const after = state.version
    const [version, , item] = state.get(id) ?? []
    const stack = this.#stacks.get(id) ?? new Stack(id, state.version, version, item)
    const overlay = stack.add(change, Date.now(), own)
    this.#stacks.set(id, stack)
    this.tell()
    try {
      const answer: any = await written
      // A `fetch` that the server refuses does not fail.
      if (answer?.ok === false) throw answer
      overlay.until = versionIn(answer, wanted, after)
      overlay.settled = Date.now()
    } catch {
      stack.drop(overlay)
    }
    this.tell()
  }

  /** What is shown: what changes create goes last; what may be that is held back for a moment. */
  #overlaid(base: readonly Item[]): readonly Item[] {
    const shown = new Map(base.map((item) => [item.id, item]))
    for (const stack of this.#stacks.values()) {
      if (stack.creates && Date.now() < (stack.came ?? 0) + HOLD_MS) for (const { id } of this.#since(stack)) shown.delete(id)
    }
    for (const stack of this.#stacks.values()) {
      const item = stack.shown()
      if (item) shown.set(stack.id, item)
      else shown.delete(stack.id)
    }
    const items = [...shown.values()]
    return items.length === this.#shown.length && items.every((item, at) => item === this.#shown[at]) ? this.#shown : items
  }

  #settle(): void {
    if (!this.#stacks.size) return
    const now = Date.now()
    let again = Infinity
    for (const stack of this.#stacks.values()) {
      again = Math.min(again, stack.settle(this.subscribed.state.version, now))
      if (stack.creates && stack.came && now < stack.came + HOLD_MS) again = Math.min(again, stack.came + HOLD_MS)
      if (!stack.overlays.length) this.#stacks.delete(stack.id)
    }
    if (!this.#stacks.size) this.#twins.clear()
    clearTimeout(this.#again)
    if (again < Infinity) this.#again = setTimeout(() => this.tell(), Math.max(again - now, 1))
    this.#base = undefined
  }

  /** See whether the server has made the item that is shown, under an id of its own. */
  #seek(stack: Stack, now: number): void {
    for (const item of this.#since(stack)) {
      if (isTwin(item, stack.shown())) {
        this.#twins.add(item.id)
        stack.overlays.length = 0
        return
      }
      stack.came ??= now
    }
  }

  /** What was created since changes of an item began, and is not known to be another's. */
  #since({ id, begun }: Stack): Item[] {
    const { state } = this.subscribed
    const since: Item[] = []
    for (const item of state.items) {
      if (state.get(item.id)![1] > begun && item.id !== id && !this.#twins.has(item.id)) since.push(item)
    }
    return since
  }
}
