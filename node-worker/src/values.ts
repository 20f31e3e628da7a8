/**
 * User values to JSON text and back, by the value rules of `spec/WORKER.md`. Almost every value is plain, so one
 * quick look and `JSON.stringify` do; only what that look doubts is written out member by member, which also
 * finds the path of the culprit. Owns nothing else; knows no message.
 */

import { randomUUID } from 'node:crypto'
import { isProxy } from 'node:util/types'

import { HeadwaterError, invalidInput } from './errors.ts'
import { wellFormedJson } from './frames.ts'

/** Deepest nesting of a value; one that holds itself ends here too. */
const MAX_DEPTH = 250

/** The JSON text of a value; `where` names it in errors. Throws `HeadwaterError` INVALID_INPUT. */
export function toJson(value: unknown, where = 'data'): string {
  return wellFormedJson(toJsonWithHalves(value, where))
}

/** The same, with lone surrogates as escapes: the server joins those of texts that are appended one after the other. */
export function toJsonWithHalves(value: unknown, where = 'data'): string {
  return isPlain(value, 0) ? (JSON.stringify(value) ?? 'null') : write(value, where, 0)
}

/** The value of a JSON text. Throws `HeadwaterError` INVALID_INPUT. */
export function fromJson(text: string): unknown {
  try {
    return FIFTEEN_MORE.test(text) ? parseExactly(text) : JSON.parse(text)
  } catch (error) {
    throw invalidInput(`This is not JSON: ${(error as Error).message}.`)
  }
}

/** Digits that may be a whole number which a double cannot hold. */
const FIFTEEN_MORE = /\d{16}/
const TEXT_OR_WHOLE = /"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g

/** More are no number of anybody's, and would take long. */
const MOST_DIGITS = 300

/** The value of a JSON text; a whole number that a double cannot hold becomes a bigint. */
function parseExactly(text: string): unknown {
  const mark = `bigint ${randomUUID()} `
  let found = false
  const marked = text.replace(TEXT_OR_WHOLE, (token) => {
    if (token[0] === '"' || token.length > MOST_DIGITS || BigInt(Number(token)) === BigInt(token)) return token
    found = true
    return `"${mark}${token}"`
  })
  if (!found) return JSON.parse(text)
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  )
}

/** Whether a number's digits in JSON are those of its value: of large whole ones JavaScript writes fewer. */
const isExact = (value: number): boolean => Number.isSafeInteger(value) || !Number.isInteger(value) || Math.abs(value) >= 1e21

/** Whether `JSON.stringify` does with the value what the rules say. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'number':
      return isExact(value)
    case 'string':
    case 'boolean':
    case 'undefined':
      return depth > 0 || value !== undefined
    case 'object':
      return value === null || (depth < MAX_DEPTH && isPlainObject(value, depth))
    default:
      return false
  }
}

function isPlainObject(value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    for (const one of value) if (!isPlain(one, depth + 1)) return false
    return true
  }
  const prototype = Object.getPrototypeOf(value) as unknown
  if (prototype !== Object.prototype && prototype !== null) return false
  if ('toJSON' in value) return false
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key], depth + 1)) return false
  return true
}

function write(value: unknown, path: string, depth: number): string {
  if (depth > MAX_DEPTH) throw invalidInput(`${short(path)} is nested more than ${MAX_DEPTH} deep, or holds itself.`)
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'number':
      if (!isExact(value)) return BigInt(value).toString()
      return Number.isFinite(value) ? JSON.stringify(value) : 'null'
    case 'bigint':
      return value.toString()
    case 'object':
      return value === null ? 'null' : writeObject(value, path, depth)
    default:
      throw noForm(value, path)
  }
}

function writeObject(value: object, path: string, depth: number): string {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof SharedArrayBuffer) {
    throw noForm(value, path, 'Decode it to text, or encode it as base64.')
  }
  const toJSON = (value as { toJSON?: unknown }).toJSON
  if (typeof toJSON === 'function') return writeJsonForm(value, toJSON, path, depth)
  if (Array.isArray(value)) return writeList(value, path, depth)
  if (value instanceof Set) return writeList([...value], path, depth)
  if (value instanceof Map) return writeMembers([...value].map(([key, one]) => [keyOf(key, path), one]), path, depth)
  if (value instanceof String || value instanceof Number || value instanceof Boolean) {
    return write(value.valueOf(), path, depth)
  }
  if (isOpaque(value)) throw noForm(value, path, hintFor(value))
  return writeMembers(Object.entries(value), path, depth)
}

function writeJsonForm(value: object, toJSON: Function, path: string, depth: number): string {
  let form: unknown
  try {
    form = toJSON.call(value, '')
  } catch (error) {
    if (error instanceof HeadwaterError) throw error
    throw invalidInput(`${short(path)} (${nameOf(value)}) cannot be turned into JSON: ${String(error)}`)
  }
  return form === undefined ? 'null' : write(form, path, depth + 1)
}

function writeList(list: readonly unknown[], path: string, depth: number): string {
  const written = list.map((one, index) => (one === undefined ? 'null' : write(one, `${path}[${index}]`, depth + 1)))
  return `[${written.join(',')}]`
}

function writeMembers(members: readonly (readonly [string, unknown])[], path: string, depth: number): string {
  const written = members
    .filter(([, one]) => one !== undefined)
    .map(([key, one]) => `${JSON.stringify(key)}:${write(one, `${path}.${key}`, depth + 1)}`)
  return `{${written.join(',')}}`
}

function keyOf(key: unknown, path: string): string {
  if (typeof key === 'string') return key
  if (key instanceof Date) return key.toJSON()
  if (key === null || typeof key === 'number' || typeof key === 'boolean' || typeof key === 'bigint') return String(key)
  throw invalidInput(`${short(path)} has a key of type ${nameOf(key)}; keys must be text.`)
}

const OPAQUE = [Promise, WeakMap, WeakSet, WeakRef, RegExp, Error]

function isOpaque(value: object): boolean {
  if (OPAQUE.some((kind) => value instanceof kind)) return true
  if (Symbol.asyncIterator in value || Symbol.iterator in value) return true
  // Objects of the platform (a Blob, a Response) keep what they hold to themselves.
  return Symbol.toStringTag in value && Object.keys(value).length === 0
}

function hintFor(value: object): string {
  if (value instanceof Promise) return 'An `await` is missing.'
  if (value instanceof Error) return 'Write what of it is meant: `{ message: error.message }`, or `String(error)`.'
  return value instanceof Blob || value instanceof Response ? 'Take its `await arrayBuffer()` or `await text()`.' : ''
}

function noForm(value: unknown, path: string, hint = ''): HeadwaterError {
  return invalidInput(`${short(path)} is ${kindOf(value)}, which has no JSON form.`, hint)
}

/** The name of a value's type, for people. */
export function nameOf(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object' || isProxy(value)) return typeof value
  return (value.constructor as Function | undefined)?.name || 'object'
}

/** The same with its article, where it has one. */
export function kindOf(value: unknown): string {
  const name = nameOf(value)
  if (value === null || value === undefined) return name
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`
}

function short(path: string): string {
  return path.length <= 200 ? path : `${path.slice(0, 120)} ... ${path.slice(-60)}`
}
