/**
 * Calls to the server: begun at once, settled when the answer comes. Owns their numbers and what a stream's
 * method returns; knows the messages, not what they mean.
 */

import type { Channel } from './channel.ts'
import { HeadwaterError, invalidInput, type ErrorMembers } from './errors.ts'
import type { Header } from './frames.ts'
import { NOBODY, type Invocation } from './invocation.ts'
import { readValue } from './items.ts'
import { LANES, type Post } from './posts.ts'
import { fromJson, nameOf } from './values.ts'

/** What a call is about. */
export interface Subject {
  readonly method: string
  readonly stream: string
  readonly group: unknown
  readonly item?: unknown
  readonly if_version?: unknown
  readonly ttl?: unknown
  readonly key?: unknown
}

/**
 * A read or write that has begun. Await it or leave it: it takes effect either way, and a failure that nobody
 * awaited is logged.
 */
export class Call extends Promise<unknown> {
  isObserved = false
  error: Error | undefined
  subject!: Subject
  place!: CallPlace

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  override then<A = unknown, B = never>(
    onValue?: ((value: unknown) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isObserved = true
    return super.then(onValue, onError)
  }
}

/** The stack of whoever made a call. */
interface CallPlace {
  stack?: string
}

interface Pending {
  readonly call: Call
  readonly invocation: Invocation
  /** Whether the invocation waits for it. */
  readonly counted: boolean
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

const nothing = (): void => undefined

export class Calls {
  readonly #channel: Channel
  readonly #lane: number
  readonly #onLost: (invocation: Invocation, call: Call) => void
  readonly #pending = new Map<number, Pending>()
  #count = 0

  /** `onLost` hears of failed calls that belong to no running invocation and that nobody awaits. */
  constructor(
    channel: Channel,
    lane: number,
    onLost: (invocation: Invocation, call: Call) => void,
  ) {
    this.#channel = channel
    this.#lane = lane
    this.#onLost = onLost
  }

  /**
   * Begin a call: when this returns it is on the socket. `data` makes the JSON text to send, `below` is the
   * function that user code has called. Nothing throws here: what is wrong with the values fails the call, as
   * what the server refuses does.
   */
  begin(invocation: Invocation, subject: Subject, below: Function, data?: () => string): Call {
    const place = placeOf(below)
    let call!: Call
    this.#channel.timed(() => (call = this.#begin(invocation, subject, place, data)))
    return call
  }

  #begin(invocation: Invocation, subject: Subject, place: CallPlace, data?: () => string): Call {
    const counted = invocation.callBegins()
    let settle!: Pick<Pending, 'resolve' | 'reject'>
    const call = new Call((resolve, reject) => (settle = { resolve, reject }))
    call.subject = subject
    call.place = place
    Promise.prototype.then.call(call, undefined, nothing)
    const number = ++this.#count * LANES + this.#lane
    this.#pending.set(number, { call, invocation, counted, ...settle })
    try {
      check(subject)
      const whose = counted ? { invocation: invocation.header.id } : { ...NOBODY, ...invocation.whose() }
      const header: Header = { t: 'call', id: number, ...subject, ...whose }
      this.#channel.send(header, data ? [Buffer.from(data())] : [])
    } catch (error) {
      this.#fail(number, error)
    }
    return call
  }

  /** Take the server's answer to a call. */
  settle(post: Post): void {
    const { id, ok, error, versions } = post.header as unknown as {
      id: number
      ok: boolean
      error?: ErrorMembers
      versions?: number[]
    }
    if (!ok) {
      this.#fail(id, new HeadwaterError(error ?? { code: 'INTERNAL', message: 'The call failed.' }))
      return
    }
    const pending = this.#take(id)
    if (pending === undefined) return
    const { stream, group } = pending.call.subject
    pending.resolve(readValue(stream, group as string, valueOf(post), versions ?? []))
    if (pending.counted) pending.invocation.callEnds(pending.call)
  }

  #fail(number: number, error: unknown): void {
    const pending = this.#take(number)
    if (pending === undefined) return
    const { call, invocation, counted } = pending
    call.error = error instanceof Error ? error : new Error(String(error))
    call.error.stack = `${String(call.error)}${stackOf(call.place)}`
    pending.reject(call.error)
    if (counted) invocation.callEnds(call)
    else setImmediate(() => call.isObserved || this.#onLost(invocation, call))
  }

  #take(number: number): Pending | undefined {
    const pending = this.#pending.get(number)
    this.#pending.delete(number)
    return pending
  }
}

function valueOf(post: Post): unknown {
  const section = post.header['value_section']
  if (section === undefined) return post.header['value'] ?? null
  return fromJson(post.sections[section as number] as string)
}

/** Keep wrong types on this side: the server would rightly take them for a broken worker. */
function check(subject: Subject): void {
  const { group, item, method, if_version: version, ttl, key } = subject
  if (typeof group !== 'string') throw invalidInput(`A group id is text, not ${nameOf(group)}.`)
  const needsItem = method !== 'get_group' && !(method === 'send' && item === null)
  if (needsItem && typeof item !== 'string') throw invalidInput(`An item id is text, not ${nameOf(item)}.`)
  if (version !== undefined && !Number.isInteger(version)) throw invalidInput('ifVersion is a whole number.')
  if (ttl !== undefined && typeof ttl !== 'number') throw invalidInput('ttl is a number of seconds.')
  if (key !== undefined && typeof key !== 'string') throw invalidInput('key is a text.')
}

/** Frames that are kept of the way to a call: each costs time, on every call. */
const PLACE_FRAMES = 5

/** Where user code is now. Formatted only if somebody looks. */
function placeOf(below: Function): CallPlace {
  const place: CallPlace = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = PLACE_FRAMES
  Error.captureStackTrace(place, below)
  Error.stackTraceLimit = limit
  return place
}

function stackOf(place: CallPlace): string {
  const stack = place.stack ?? ''
  const at = stack.indexOf('\n')
  return at < 0 ? '' : stack.slice(at)
}
