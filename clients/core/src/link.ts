/** One connection, over whatever carries it. */

import type { Json } from './types.ts'

/** What a link tells; nothing after `lost`. */
export interface Hearing {
  /** Messages can be sent, though nobody is known to take them: nothing has been asked, or nothing is any more. */
  ready(): void
  /** The server is there, and messages can be sent. */
  opened(): void
  heard(message: Json): void
  /** Something arrived that is no message. */
  alive(): void
  lost(reason: string): void
}

export interface Link {
  /** The server cannot be asked for a sign of life. */
  readonly mute?: boolean
  send(message: Json): void
  close(): void
}

/** What may stand in a subprotocol's name and in a header; a token with other signs goes into the address. */
export const PLAIN = /^[\w!#$%&'*+.^`|~-]+$/

/** Opens a link to the server at `url` (http or https). */
export type OpenLink = (url: URL, token: string | undefined, hearing: Hearing) => Link
