/**
 * The members of calls about items, whichever service they name: ids as text, the terms of a write. Keeps wrong types
 * on this side: the server would rightly take them for a broken worker.
 */

import type { Members } from './calls.ts'
import { invalidInput } from './errors.ts'
import { nameOf } from './values.ts'

/** An id as text: whole numbers become it. What cannot be one goes on as it is, and the call fails with it. */
export function text(value: unknown): unknown {
  return Number.isSafeInteger(value) || typeof value === 'bigint' ? String(value) : value
}

/** The terms of a write that were given. */
export function termsOf(version: unknown, ttl: unknown, key: unknown, exists?: unknown): Members {
  return {
    ...(version === undefined ? {} : { if_version: version }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(key === undefined ? {} : { key }),
    ...(exists === undefined || exists === false ? {} : { if_exists: exists }),
  }
}

export function checkName(what: string, value: unknown): void {
  if (typeof value === 'string') return
  const article = /^[aeiou]/.test(what) ? 'An' : 'A'
  const said = typeof value === 'number' ? ` ${value}` : ''
  const hint = 'Whole numbers up to 2^53 and bigints become text; write anything else as text yourself.'
  throw invalidInput(`${article} ${what} is text, not ${nameOf(value)}${said}.`, hint)
}

export function checkTerms({ if_version: version, ttl, key, if_exists: exists = false }: Members): void {
  if (version !== undefined && !Number.isSafeInteger(version)) throw invalidInput('ifVersion is a whole number.')
  checkSeconds('ttl', ttl)
  if (typeof exists !== 'boolean') throw invalidInput('ifExists is true or false.')
  if (key !== undefined && typeof key !== 'string') throw invalidInput('key is a text.')
}

/** NaN and Infinity would become null on their way, which is no seconds at all. */
export function checkSeconds(name: string, value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'number') throw invalidInput(`${name} is a number of seconds, not ${nameOf(value)}.`)
  if (!Number.isFinite(value)) throw invalidInput(`${name} is a number of seconds that is finite.`)
}
