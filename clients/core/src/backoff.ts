/** How long to wait before the next attempt to connect. Pure: chance and counting, no clock. */

export const FIRST_MS = 250
export const MOST_MS = 15_000

/** Waits that double, each with full jitter, so that the clients of a server that restarts do not come back all at once. */
export class Backoff {
  #attempts = 0
  readonly #chance: () => number

  constructor(chance: () => number = Math.random) {
    this.#chance = chance
  }

  /** Milliseconds to wait now. */
  wait(): number {
    return Math.min(FIRST_MS * 2 ** Math.min(this.#attempts++, 16), MOST_MS) * this.#chance()
  }

  /** A connection stood: the next wait is short again. */
  succeeded(): void {
    this.#attempts = 0
  }
}
