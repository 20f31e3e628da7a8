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

/** Why the server ended a subscription. */
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
