/** Which invocation is in which slot of the shared memory. Owns the two maps; only the reader thread has them. */

import { MOST_SLOTS, type Shared } from './shared.ts'

export interface Owner {
  readonly id: number
  readonly step: string
  readonly trace: string
}

export class Slots {
  readonly #shared: Shared
  readonly #owners: (Owner | undefined)[] = []
  readonly #slots = new Map<number, number>()
  #next = 0

  constructor(shared: Shared) {
    this.#shared = shared
  }

  /** Put an invocation that waits into a free slot; undefined if there is none. */
  take(owner: Owner): number | undefined {
    for (let tried = 0; tried < MOST_SLOTS; tried++) {
      const slot = this.#next
      this.#next = (this.#next + 1) % MOST_SLOTS
      if (!this.#shared.isFree(slot)) continue
      this.#forget(slot)
      this.#owners[slot] = owner
      this.#slots.set(owner.id, slot)
      this.#shared.fill(slot)
      return slot
    }
    return undefined
  }

  /** The slot of an invocation that waits or runs; undefined once it has ended. */
  slotOf(id: number): number | undefined {
    const slot = this.#slots.get(id)
    return slot === undefined || this.#shared.isFree(slot) ? undefined : slot
  }

  ownerOf(slot: number): Owner | undefined {
    return this.#shared.isFree(slot) ? undefined : this.#owners[slot]
  }

  /** Whose invocations wait or run. */
  busy(): readonly Owner[] {
    return this.#owners.filter((owner, slot): owner is Owner => owner !== undefined && !this.#shared.isFree(slot))
  }

  anyBusy(): boolean {
    return this.#owners.some((owner, slot) => owner !== undefined && !this.#shared.isFree(slot))
  }

  #forget(slot: number): void {
    const before = this.#owners[slot]
    if (before !== undefined) this.#slots.delete(before.id)
  }
}
