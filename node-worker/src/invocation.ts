/** One run of user code and the calls it has open. Owns the moment at which it ends; runs nothing. */

import { AsyncLocalStorage } from 'node:async_hooks'

import type { Call } from './calls.ts'
import type { Post } from './posts.ts'

/** Most failed calls that are kept for the log; the others are counted. */
const MAX_FAILURES = 20

/** Whose a log line or a call is. */
export interface Whose {
  readonly invocation: number | null
  readonly trace: string
  readonly step: string
}

export const NOBODY: Whose = { invocation: null, trace: '', step: '' }

interface InvokeHeader {
  readonly id: number
  readonly kind: string
  readonly file: string
  readonly step: string
  readonly trace: string
  readonly flows: readonly unknown[]
  /** The run that it is an attempt of, and the how manieth; a request has neither. */
  readonly run?: string
  readonly attempt?: number
  /** Whether an attempt at the run has begun before. */
  readonly resumed?: boolean
  /** The context of whose request caused it. User code has it, and may change it. */
  readonly auth?: unknown
  /** What the server wants to hear again of calls that come after the end. */
  readonly origin?: unknown
}

export class Invocation {
  readonly post: Post
  readonly header: InvokeHeader
  readonly failures: Call[] = []
  /** Who caused it, as JSON: as the server told it, before user code had it. */
  readonly #cause: string | undefined
  moreFailures = 0
  isCancelled = false
  #abort: AbortController | undefined
  #open = 0
  #ended = false
  #onSettled: (() => void) | undefined
  #onCancel: (() => void) | undefined

  constructor(post: Post) {
    this.post = post
    this.header = post.header as unknown as InvokeHeader
    const { auth, origin } = this.header
    if (auth !== undefined || origin !== undefined) this.#cause = JSON.stringify({ auth, origin })
  }

  /** Told when the invocation is cancelled. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.isCancelled) this.#abort.abort(cancelReason())
    }
    return this.#abort.signal
  }

  /** Whose logs and calls these are, as of now. */
  whose(): Whose {
    const { id, trace, step } = this.header
    return { invocation: this.#ended ? null : id, trace, step }
  }

  /** What a call says that is made after the end: whose it is, and who caused that. */
  late(): Whose {
    return this.#cause === undefined ? this.whose() : { ...this.whose(), ...(JSON.parse(this.#cause) as object) }
  }

  // --- calls ---

  /** Count a call; false if the invocation has ended, so that the call stands alone. */
  callBegins(): boolean {
    if (!this.#ended) this.#open++
    return !this.#ended
  }

  /** A counted call is settled. */
  callEnds(call: Call): void {
    if (call.error !== undefined && this.failures.push(call) > MAX_FAILURES) {
      this.failures.pop()
      this.moreFailures++
    }
    if (--this.#open === 0) this.#onSettled?.()
  }

  /** Wait until no call is open; from then on the invocation has ended. */
  async end(): Promise<void> {
    while (this.#open > 0) await new Promise<void>((settled) => (this.#onSettled = settled))
    this.#ended = true
  }

  // --- cancelling ---

  /** Ask it to stop: its signal is told, then whoever waits for its outcome. */
  cancel(): void {
    if (this.isCancelled) return
    this.isCancelled = true
    this.#abort?.abort(cancelReason())
    // Code that listens to the signal gets to say its last word.
    setImmediate(() => this.#onCancel?.())
  }

  onCancel(listener: () => void): void {
    this.#onCancel = listener
  }
}

function cancelReason(): DOMException {
  return new DOMException('The invocation was cancelled.', 'AbortError')
}

/** The invocation that the running code belongs to, wherever it has come from by now. */
export const current = new AsyncLocalStorage<Invocation>()
