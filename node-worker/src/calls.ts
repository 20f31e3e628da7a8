/**
 * Calls to the server: begun at once, settled when the answer comes. Owns their numbers and what a method of a
 * service returns; knows the messages, not what they mean: that is the service's (`streams.ts`).
 */

import type { Channel } from './channel.ts'
import { HeadwaterError, type ErrorMembers } from './errors.ts'
import type { Header } from './frames.ts'
import { NOBODY, type Invocation } from './invocation.ts'
import { contentOf, LANES, type Post } from './posts.ts'
import { fromJson } from './values.ts'

/** What a call tells the server beside its service and method. */
export type Members = Readonly<Record<string, unknown>>

/** What calls must know of a service. */
export interface Service {
  readonly name: string
  /** The members that say what a call is about. */
  readonly about: (members: Members) => Members
  /** Refuse members of wrong types: the server would rightly take them for a broken worker. */
  readonly check: (method: string, members: Members) => void
  /** The value of a result, from what the call is about and the versions of the items in it. */
  readonly read: (about: Members, value: unknown, versions: readonly number[]) => unknown
}

/**
 * A read or write that has begun. Await it or leave it: it takes effect either way, and a failure that nobody
 * awaited is logged.
 */
export class Call extends Promise<unknown> {
  isObserved = false
  error: Error | undefined
  service!: Service
  method!: string
  about!: Members
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

type CallParts = Pick<Call, 'service' | 'method' | 'about' | 'place'>

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
  begin(
    invocation: Invocation, service: Service, method: string, members: Members, below: Function, data?: () => string,
  ): Call {
    const made = { service, method, about: service.about(members), place: placeOf(below) }
    let call!: Call
    this.#channel.timed(() => (call = this.#begin(invocation, made, members, data)))
    return call
  }

  #begin(invocation: Invocation, made: CallParts, members: Members, data?: () => string): Call {
    const { service, method } = made
    const counted = invocation.callBegins()
    let settle!: Pick<Pending, 'resolve' | 'reject'>
    const call = new Call((resolve, reject) => (settle = { resolve, reject }))
    Object.assign(call, made)
    Promise.prototype.then.call(call, undefined, nothing)
    const number = ++this.#count * LANES + this.#lane
    this.#pending.set(number, { call, invocation, counted, ...settle })
    try {
      service.check(method, members)
      const whose = counted ? { invocation: invocation.header.id } : { ...NOBODY, ...invocation.late() }
      const header: Header = { t: 'call', id: number, service: service.name, method, ...members, ...whose }
      this.#channel.send(header, data ? [Buffer.from(data())] : [])
    } catch (error) {
      this.#fail(number, error)
    }
    return call
  }

  /** How many wait for their answer. */
  get open(): number {
    return this.#pending.size
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
    const { service, about } = pending.call
    pending.resolve(service.read(about, valueOf(post), versions ?? []))
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
  return fromJson(contentOf(post.sections[section as number] ?? '').toString())
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
