/**
 * What keeps the loop of a thread going beside what did before any invocation. Owns what counts; whose it is, nobody
 * can know.
 */

/** Sockets may be those of a pool, which its lifespan closes. */
const SOCKET = /Wrap$/

export class Leftovers {
  #before: readonly string[] = []

  /** Whatever keeps the loop going now does not count. */
  settle(): void {
    this.#before = process.getActiveResourcesInfo()
  }

  /** The kinds of what does count; `own` are the worker's. */
  find(own: readonly string[] = []): string[] {
    const known = [...this.#before, ...own]
    return process.getActiveResourcesInfo().filter((kind) => {
      const at = known.indexOf(kind)
      if (at >= 0) known.splice(at, 1)
      return at < 0
    })
  }
}

/** Whether all that is left may belong to what the lifespan holds. */
export function mayBeHeld(left: readonly string[]): boolean {
  return left.every((kind) => SOCKET.test(kind))
}
