/** What the reader thread and the threads of user code tell each other. Owns the shapes, nothing else. */

import { isUtf8 } from 'node:buffer'

import type { Header } from './frames.ts'

/** A section on its way: a short one as text where it is UTF-8, any other as bytes. */
export type Section = string | Uint8Array<ArrayBufferLike>

/**
 * Most bytes of a section that the reader makes text of. More would keep it from what comes behind, a wish to take
 * the invocation back among it: what is slow to decode would be taken back before it can begin, again and again.
 */
const LONGEST_TEXT = 64 * 1024

/**
 * A message of the server on its way to a thread: where an invocation's state is (-1 for any other message), the
 * text of its header, its sections. Threads hand texts over for less than objects.
 */
export type Packed = readonly [slot: number, header: string, ...sections: Section[]]

/** A message of the server, as the thread sees it. */
export interface Post {
  readonly header: Header
  readonly sections: readonly Section[]
  readonly slot: number
}

/** Bytes are copied: else the whole chunk that they came in would go with them. */
export function packSection(section: Buffer): Section {
  return section.length <= LONGEST_TEXT && isUtf8(section) ? section.toString('utf8') : new Uint8Array(section)
}

/** What a post may take with it instead of copying it once more; it is gone from this thread then. */
export function buffersOf([, , ...sections]: Packed): ArrayBuffer[] {
  return sections.flatMap((section) =>
    typeof section !== 'string' && section.buffer instanceof ArrayBuffer ? [section.buffer] : [],
  )
}

/** A section as text where it is UTF-8, else its bytes. */
export function contentOf(section: Section): string | Buffer {
  if (typeof section === 'string') return section
  const bytes = Buffer.from(section.buffer, section.byteOffset, section.byteLength)
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes
}

export function unpack([slot, header, ...sections]: Packed): Post {
  return { header: JSON.parse(header) as Header, sections, slot }
}

/**
 * From the reader to a thread: a message of the server, or one of its own wishes. One at a time, so that all which
 * one has made ready has run before the next begins.
 */
export type ToLoop =
  | Packed
  | { readonly kind: 'probe'; readonly probe: number }
  | { readonly kind: 'linger' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'end'; readonly status: number }

/** From the main thread, once it was told to linger: what keeps its loop going beside what did before any invocation. */
export interface Left {
  readonly kind: 'left'
  readonly resources: readonly string[]
}

/** From the main thread, once it was told to leave the lifespan: it has. */
export interface Gone {
  readonly kind: 'gone'
}

/** From a thread of user code to the reader: an invocation has ended; the lifespan is left. */
export type FromLane = { readonly kind: 'done'; readonly slot: number } | { readonly kind: 'left' }

export function isPacked(message: ToLoop): message is Packed {
  return Array.isArray(message)
}

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
  readonly load: Packed
  readonly streams: readonly string[] | null
}

/** Lanes that a process can tell apart: a call's number modulo this is the lane that made it. */
export const LANES = 64
