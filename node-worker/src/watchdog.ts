/**
 * Notices, from the reader thread, when one invocation holds the loop of user code. Costs nothing while none
 * runs there. It looks who is at work, and only when somebody is does it ask the loop for a sign of life.
 */

import type { Shared } from './shared.ts'

/** How often it looks within the time that an invocation may hold the loop. */
const TICKS = 5

/** Looks without anybody at work after which it asks whether anything runs at all. */
const IDLE_LOOKS = 50

export interface Watched {
  /** Whether any invocation waits or runs. */
  isBusy(): boolean
  /** Ask the loop for a sign of life. */
  probe(number: number): void
  /** The invocation in `slot` has held the loop for that long. */
  blocked(slot: number, seconds: number): void
}

export class Watchdog {
  readonly #shared: Shared
  readonly #limit: number
  readonly #watched: Watched
  #timer: NodeJS.Timeout | undefined
  #idleLooks = 0
  #asked = 0
  #askedAt = 0
  #suspect = -1
  #told = false
  #sentBefore = 0

  /** `limit` is how many milliseconds an invocation may hold the loop. */
  constructor(shared: Shared, limit: number, watched: Watched) {
    this.#shared = shared
    this.#limit = limit
    this.#watched = watched
  }

  /** An invocation is about to run on the loop. */
  wake(): void {
    this.#idleLooks = 0
    this.#timer ??= setInterval(() => this.#look(), this.#limit / TICKS)
  }

  #look(): void {
    const holder = this.#shared.holder()
    if (this.#suspect >= 0) this.#follow(holder)
    else if (holder >= 0) this.#ask(holder)
    else if (++this.#idleLooks >= IDLE_LOOKS) this.#rest()
  }

  #ask(holder: number): void {
    this.#idleLooks = 0
    this.#suspect = holder
    this.#told = false
    this.#beginMeasuring()
    this.#watched.probe(++this.#asked)
  }

  #follow(holder: number): void {
    if (this.#shared.answeredProbe() === this.#asked) {
      this.#suspect = -1
    } else if (this.#shared.isSending()) {
      // It may wait until the server reads, which is nobody's blocking.
      this.#beginMeasuring()
    } else if (holder !== this.#suspect) {
      // Whoever blocks the loop is there at every look.
      this.#suspect = -1
    } else if (!this.#told) {
      const held = performance.now() - this.#askedAt - this.#sentSince()
      if (held < this.#limit) return
      this.#told = true
      this.#watched.blocked(holder, Math.round(held) / 1000)
    }
  }

  #beginMeasuring(): void {
    this.#askedAt = performance.now()
    this.#sentBefore = this.#shared.sent()
  }

  /** Milliseconds spent writing since the measuring began. */
  #sentSince(): number {
    return ((this.#shared.sent() - this.#sentBefore) >>> 0) / 1000
  }

  #rest(): void {
    this.#idleLooks = 0
    if (this.#watched.isBusy()) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
