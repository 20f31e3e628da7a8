/** What the reader thread and the threads of user code tell each other. Owns the shapes, nothing else. */

import type { Header } from './frames.ts'

/** A message of the server on its way to a thread; `slot` is where an invocation's state is, else -1. */
export interface Post {
  readonly header: Header
  readonly sections: readonly Uint8Array[]
  readonly slot: number
}

/**
 * From the reader to a thread: a message of the server, or one of its own wishes. One at a time, so that all which
 * one has made ready has run before the next begins.
 */
export type ToLoop =
  | { readonly kind: 'post'; readonly post: Post }
  | { readonly kind: 'probe'; readonly probe: number }
  | { readonly kind: 'end'; readonly status: number }

/** From a thread of user code to the reader. */
export type FromLane = { readonly kind: 'done'; readonly slot: number }

/** What every thread is started with. */
export interface ThreadParts {
  readonly fd: number
  readonly limit: number
  readonly memory: SharedArrayBuffer
}

export interface ReaderParts extends ThreadParts {
  /** Milliseconds that an invocation may hold the loop. */
  readonly blockAfter: number
}

export interface LaneParts extends ThreadParts {
  /** The lane's number, from 1 on; 0 is the main thread. */
  readonly lane: number
  readonly load: Post
  readonly streams: readonly string[] | null
}

/** Lanes that a process can tell apart: a call's number modulo this is the lane that made it. */
export const LANES = 64
