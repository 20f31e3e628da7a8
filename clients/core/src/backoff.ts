/**
 * How long to wait before the next attempt to connect. Pure: chance and counting, no clock. Why the numbers are what
 * they are: docs/decisions/0018-coming-back.md.
 */

export const FIRST_MS = 250
/** The most while the connection was lost not long ago: a server that restarts is found within it. */
export const SOON_MS = 1_000
/** Attempts that count as not long ago: half a minute of them. */
export const SOON_ATTEMPTS = 40
export const MOST_MS = 15_000

/** Waits that grow, each between half and all of what it may be, so that clients do not come back all at once. */
export class Backoff {
  #attempts = 0
  readonly #chance: () => number

  constructor(chance: () => number = Math.random) {
    this.#chance = chance
  }

  /** Milliseconds to wait now. */
  wait(): number {
    const attempt = this.#attempts++
    const late = attempt - SOON_ATTEMPTS + 1
    const most = late > 0 ? Math.min(SOON_MS * 2 ** Math.min(late, 16), MOST_MS) : Math.min(FIRST_MS * 2 ** attempt, SOON_MS)
    return (most * (1 + this.#chance())) / 2
  }

  /** The next wait is short again: a connection stood, or the network is back. */
  beginAnew(): void {
    this.#attempts = 0
  }
}
