/** What pages give: names, items, presence states. Owns what of it can travel, and what is said of the rest. */

import { parse, toText } from './numbers.ts'
import { Refused } from './refused.ts'
import type { Wanted } from './store.ts'
import type { Ended, Json } from './types.ts'

/** Half of a pair that is alone, as `JSON.stringify` writes it; and what an escaped backslash hides. */
const HALF = /\\\\|\\ud[89a-f][\da-f]{2}/g
const ALONE = /\p{Surrogate}/u

export const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0

export const invalid = (message: string): Ended => ({ code: 'INVALID_INPUT', message })

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
 * What was given as it travels: a copy, which later changes of the original do not touch; half of a character becomes
 * U+FFFD.
 * @throws {Refused} `INVALID_INPUT`: it is nothing that JSON can hold
 */
export function copied(given: unknown, what: string): any {
  try {
    return parse(toText(given).replace(HALF, (found) => (found[1] === 'u' ? '\ufffd' : found)))
  } catch (fault) {
    throw new Refused(invalid(`the ${what} cannot be sent: ${fault}`))
  }
}

/** The same of what must be an object. */
export function object(given: Json, what = 'presence state'): Json {
  const copy = copied(given, what)
  if (copy && typeof copy === 'object' && !Array.isArray(copy)) return copy
  throw new Refused(invalid(`the ${what} cannot be sent: it is no object`))
}
