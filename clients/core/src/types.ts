/** The words of the client: items, statuses, and the messages of protocol v1 as far as a client reads them. */

/** An item as pages see it: a JSON object with its id. */
export interface Item {
  readonly id: string
}

declare global {
  /** The items of each stream, by the stream's name, as `headwater types` writes them into a project's `types.d.ts`. */
  interface HeadwaterStreams {}
}

/** The same, for whoever adds to it by hand: `declare module 'headwater/client' { interface Streams { ... } }`. */
export interface Streams extends HeadwaterStreams {}

/** The item type of a stream, where it is known. */
export type ItemOf<Name> = Name extends keyof Streams ? Streams[Name] & Item : Item & Record<string, unknown>

/**
 * `connecting`: an attempt is under way. `live`: what is shown is the server's state. `behind`: connected, catching up.
 * `offline`: there is no connection; the next attempt comes by itself.
 */
export type Status = 'connecting' | 'live' | 'behind' | 'offline'

/** An ephemeral event. */
export interface StreamEvent {
  type: string
  data: unknown
}

/** Where in an item: `'progress.done'`, `'lines.0'`, or a list of exact names. `''` is the whole item. */
export type Path = string | readonly (string | number)[]

/** One operation of an `update`. */
export type UpdateOperation =
  | { type: 'set' | 'append'; path: Path; value: unknown }
  | { type: 'merge'; path?: Path; value: Record<string, unknown> }
  | { type: 'increment' | 'decrement'; path: Path; by?: number }
  | { type: 'remove'; path: Path }

/** What `set` takes of an item: its id stands beside. */
export type DataOf<T> = Omit<T, 'id'> & { id?: string }

export interface WriteOptions {
  /** Only if the item has that version, as `versionOf` told it; 0: only if there is none. Else it fails with `CONFLICT`. */
  ifVersion?: number | undefined
  /** What repeats a key writes nothing, and is answered as the first was; a key of its own where left out. */
  key?: string | undefined
  /** Where there is no connection, wait for one, after the writes before it; else it fails with `OFFLINE`. */
  offline?: boolean | undefined
  /** False: show it once the server has it, not before. */
  optimistic?: boolean | undefined
}

export interface SendOptions {
  /** To those who follow that item or its group. */
  id?: string | undefined
  /** As of a write. */
  offline?: boolean | undefined
}

/** Why the server ended a subscription, or said no. */
export interface Ended {
  code: string
  message: string
  hint?: string
}

export type Json = Record<string, any>
export type Operation = [op: string, path: (string | number)[], value?: unknown]

/** The page, as far as there is one. */
export const page = globalThis as unknown as Partial<Pick<Window, 'document' | 'location' | 'addEventListener' | 'removeEventListener'>>

/** What an error says. */
export const told = (fault: unknown): string => (fault instanceof Error && fault.message) || String(fault)
