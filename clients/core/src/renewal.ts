/** Asks for another token until the server has taken one. Owns when it is asked, and knows neither page nor server. */

import { Backoff } from './backoff.ts'
import { told } from './types.ts'

/**
 * Whoever is asked again so soon after a success gave a token that is about to end, and is asked ever less often. Tokens
 * that live for a second are renewed in time.
 */
const QUIET_MS = 500
/** How long a token, and the server's word about it, may take. */
const GIVE_MS = 10_000

export class Renewal {
  readonly #give: () => Promise<void>
  readonly #failed: (reason: string) => void
  readonly #backoff = new Backoff()
  #timer: ReturnType<typeof setTimeout> | undefined
  /** The attempt that counts; what others come to is void. */
  #attempt = 0
  #busy = false
  #gaveAt = 0

  /** `give` resolves when the server has taken another token. */
  constructor(give: () => Promise<void>, failed: (reason: string) => void) {
    this.#give = give
    this.#failed = failed
  }

  /** Ask now, unless that is under way. */
  begin(): void {
    if (this.#busy) return
    this.#busy = true
    if (Date.now() - this.#gaveAt < QUIET_MS) return this.#wait()
    this.#backoff.beginAnew()
    void this.#ask()
  }

  /** Nobody wants one any more. */
  end(): void {
    clearTimeout(this.#timer)
    this.#attempt++
    this.#busy = false
  }

  async #ask(): Promise<void> {
    const attempt = ++this.#attempt
    try {
      await Promise.race([this.#give(), new Promise((_, fail) => (this.#timer = setTimeout(() => fail(`no answer in ${GIVE_MS / 1000} seconds`), GIVE_MS)))])
      if (attempt !== this.#attempt) return
      this.end()
      this.#gaveAt = Date.now()
    } catch (fault) {
      if (attempt !== this.#attempt) return
      clearTimeout(this.#timer)
      this.#failed(told(fault))
      this.#wait()
    }
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#ask(), this.#backoff.wait())
  }
}
