/** What pages give: names and presence states. Owns what of it can travel, and what is said of the rest. */

import { Refused } from './refused.ts'
import type { Wanted } from './store.ts'
import type { Ended, Json } from './types.ts'

/** Half of a pair that is alone, as `JSON.stringify` writes it; and what an escaped backslash hides. */
const HALF = /\\\\|\\ud[89a-f][\da-f]{2}/g
const ALONE = /\p{Surrogate}/u

export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0

const invalid = (message: string): Ended => ({ code: 'INVALID_INPUT', message })

/** An id as text: whole numbers become it. */
export const name = (value: any): any => (Number.isSafeInteger(value) ? String(value) : value)

/** Why something cannot be asked for: a name that is none. The server could not even say of which subscription it is. */
export function given({ stream, group, id, limit = 1 }: Wanted): Ended | undefined {
  if (!isCount(limit)) return invalid(`the limit is a whole number above 0, not ${limit}`)
  for (const [what, value] of Object.entries({ stream, group, id })) {
    if (what === 'id' && value === undefined) continue
    if (typeof value !== 'string' || !value) return invalid(`the ${what} is a non-empty text, not ${value === '' ? 'an empty one' : typeof value}`)
    if (ALONE.test(value)) return invalid(`the ${what} holds half of a character`)
  }
}

/**
 * A presence state as it travels: a copy, which later changes of what was given do not touch; half of a character
 * becomes U+FFFD.
 * @throws {Refused} `INVALID_INPUT`: it is no JSON object
 */
export function presence(state: Json): Json {
  let fault = 'it is no object'
  try {
    const copy = JSON.parse(JSON.stringify(state).replace(HALF, (found) => (found[1] === 'u' ? '\ufffd' : found)))
    if (copy && typeof copy === 'object' && !Array.isArray(copy)) return copy
  } catch (error) {
    fault = String(error)
  }
  throw new Refused(invalid(`the presence state cannot be sent: ${fault}`))
}
