/** What an API handler returned -> the answer on the wire. Owns what a valid response is; runs nothing. */

import { handlerFailed, HeadwaterError } from './errors.ts'
import { originOf } from './items.ts'
import { nameOf, toJson } from './values.ts'

/** Most stream items that an answer names. */
const MAX_ITEMS = 16

/** How deep in a body, and among how many of its values, stream items are looked for. */
const MAX_SCAN_DEPTH = 8
const MAX_SCAN_VALUES = 2000

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const VALUE_HINT = 'Only Latin-1 text without line breaks; percent-encode the rest.'
const HEADER_HINT = 'Write text, a number, a truth value or a list of those; leave out a header that has no value.'
const SHAPE = 'A handler returns { status: 200, body: ... } and may add headers.'

type Item = [stream: string, group: string, id: string, version: number]

export interface Answer {
  readonly members: {
    readonly status: number
    readonly headers: Record<string, string | string[]>
    readonly body_kind: 'none' | 'json' | 'text' | 'bytes'
    readonly items: readonly Item[]
  }
  readonly body: Uint8Array
}

/** The answer that a handler's response stands for. Throws HANDLER_FAILED, which says what is wrong with it. */
export function answerOf(response: unknown): Answer {
  if (typeof response !== 'object' || response === null || Array.isArray(response)) {
    const said = response === undefined || response === null ? `nothing (${response})` : `a ${nameOf(response)}`
    throw handlerFailed(`The handler returned ${said} instead of a response.`, SHAPE)
  }
  const { status, headers, body } = response as { status?: unknown; headers?: unknown; body?: unknown }
  const [kind, bytes] = encodeBody(body)
  const items = kind === 'json' ? itemsIn(body) : []
  return { members: { status: statusOf(status), headers: headersOf(headers), body_kind: kind, items }, body: bytes }
}

function statusOf(given: unknown): number {
  if (given === undefined) throw handlerFailed("The handler's response has no \"status\".", SHAPE)
  // Old steps may write it as text.
  const status = typeof given === 'string' && /^[0-9]{3}$/.test(given) ? Number(given) : given
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599) return status
  const said = ['number', 'string'].includes(typeof given) ? JSON.stringify(given).slice(0, 80) : `a ${nameOf(given)}`
  throw handlerFailed(`The response's "status" is ${said}; it must be a whole number from 200 to 599.`)
}

function headersOf(headers: unknown): Record<string, string | string[]> {
  if (headers === undefined || headers === null) return {}
  if (typeof headers !== 'object') throw handlerFailed('The response\'s "headers" are not an object.')
  const pairs = headers instanceof Map || headers instanceof Headers ? [...headers] : Object.entries(headers)
  const found = new Map<string, string | string[]>()
  for (const [given, value] of pairs) {
    if (value === undefined) continue
    const name = nameFrom(given)
    const before = found.get(name)
    const values = valuesFrom(name, value)
    // `Headers` gives each cookie as a pair of its own.
    found.set(name, before === undefined ? values : [before, values].flat())
  }
  return Object.fromEntries(found)
}

function nameFrom(name: unknown): string {
  if (typeof name === 'string' && HEADER_NAME.test(name)) return name
  throw handlerFailed(`The response has a header with the name ${JSON.stringify(name)}, which HTTP does not allow.`)
}

function valuesFrom(name: string, value: unknown): string | string[] {
  return Array.isArray(value) ? value.map((one) => valueFrom(name, one)) : valueFrom(name, value)
}

function valueFrom(name: string, value: unknown): string {
  const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
  if (typeof text !== 'string') {
    throw handlerFailed(`The response's header "${name}" is a ${nameOf(value)}; it must be text.`, HEADER_HINT)
  }
  const whole = text.toWellFormed()
  if (HEADER_VALUE.test(whole)) return whole
  throw handlerFailed(`The response's header "${name}" holds a character that no header may hold.`, VALUE_HINT)
}

function encodeBody(body: unknown): ['none' | 'json' | 'text' | 'bytes', Uint8Array] {
  if (body === undefined) return ['none', new Uint8Array()]
  if (typeof body === 'string') return ['text', Buffer.from(body.toWellFormed())]
  if (ArrayBuffer.isView(body)) return ['bytes', new Uint8Array(body.buffer, body.byteOffset, body.byteLength)]
  if (body instanceof ArrayBuffer) return ['bytes', new Uint8Array(body)]
  try {
    return ['json', Buffer.from(toJson(body, 'body'))]
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error
    throw handlerFailed(`The response cannot be sent: ${HeadwaterError.membersOf(error).message}`, error.hint)
  }
}

/** The stream items in a body, outermost first, within bounds. */
function itemsIn(body: unknown): Item[] {
  const items: Item[] = []
  let level: unknown[] = [body]
  let left = MAX_SCAN_VALUES
  for (let depth = 0; depth < MAX_SCAN_DEPTH && left > 0 && level.length > 0; depth++) {
    const inner: unknown[] = []
    for (const value of level.slice(0, left)) {
      if (typeof value !== 'object' || value === null) continue
      const origin = originOf(value)
      if (origin !== undefined) items.push([origin.stream, origin.group, origin.id, origin.version])
      if (items.length === MAX_ITEMS) return items
      inner.push(...(Array.isArray(value) ? value.slice(0, left) : Object.values(value).slice(0, left)))
    }
    left -= level.length
    level = inner
  }
  return items
}
