/** `ctx.streams`: what user code does with streams. Owns names and arguments; the way is `calls.ts`'s. */

import type { Call, Calls, Members, Service } from './calls.ts'
import { HeadwaterError } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { readValue } from './items.ts'
import { checkName, checkTerms, termsOf, text } from './members.ts'
import { toJson, toJsonWithHalves } from './values.ts'

/** A member that the framework of old put into items, and that code hands back. */
const OLD_KEY = '__motia'

export interface WriteOptions {
  /** Only if the item's version is this one; 0 says that there must be none. */
  readonly ifVersion?: number
  readonly if_version?: number
  /** Seconds after which the item expires; `set` alone takes it. */
  readonly ttl?: number
  /** An `update` of what is not there does nothing and gives null; without it, it makes the item. */
  readonly ifExists?: boolean
  readonly if_exists?: boolean
  /** A repeated write with the same key does nothing and gives the first one's result. */
  readonly key?: string
}

interface Channel {
  readonly groupId?: unknown
  readonly group_id?: unknown
  readonly id?: unknown
}

/**
 * One stream, for one invocation. Every method begins at once, and may be taken off it. Numbers given as ids become
 * text.
 */
export class Stream {
  readonly #calls: Calls
  readonly #invocation: Invocation
  readonly #name: string

  constructor(calls: Calls, invocation: Invocation, name: string) {
    this.#calls = calls
    this.#invocation = invocation
    this.#name = name
  }

  readonly get = (groupId: string, id: string): Call =>
    this.#begin('get', this.get, groupId, { item: text(id) })

  readonly getGroup = (groupId: string): Call => this.#begin('get_group', this.getGroup, groupId, {})

  readonly get_group = (groupId: string): Call => this.#begin('get_group', this.get_group, groupId, {})

  readonly set = (groupId: string, id: string, data: unknown, options?: WriteOptions): Call =>
    this.#begin('set', this.set, groupId, itemOf(id, options), () => toJson(withoutOld(data)))

  readonly update = (groupId: string, id: string, operations: unknown, options?: WriteOptions): Call =>
    this.#begin('update', this.update, groupId, itemOf(id, options), () => toJsonWithHalves(operations, 'ops'))

  readonly delete = (groupId: string, id: string, options?: WriteOptions): Call =>
    this.#begin('delete', this.delete, groupId, itemOf(id, options))

  readonly send = (channel: Channel, event: unknown): Call => {
    const { groupId, group_id: group = groupId, id } = channel ?? {}
    return this.#begin('send', this.send, group, { item: text(id) ?? null }, () => toJson(event, 'event'))
  }

  /** Take a group away from a user, whatever the stream's file says. */
  readonly revoke = (groupId: string, user: string): Call =>
    this.#begin('revoke', this.revoke, groupId, { user: text(user) })

  /** Leave what a user may do with a group to the stream's file again. */
  readonly restore = (groupId: string, user: string): Call =>
    this.#begin('restore', this.restore, groupId, { user: text(user) })

  #begin(
    method: string, below: Function, group: unknown, more: Members, data?: () => string,
  ): Call {
    const members = { stream: this.#name, group: text(group), ...more }
    return this.#calls.begin(this.#invocation, SERVICE, method, members, below, data)
  }
}

function check(method: string, members: Members): void {
  checkName('group id', members['group'])
  const aboutUser = method === 'revoke' || method === 'restore'
  if (aboutUser) checkName('user', members['user'])
  const needsItem = !aboutUser && method !== 'get_group' && !(method === 'send' && members['item'] === null)
  if (needsItem) checkName('item id', members['item'])
  checkTerms(members)
}

export const SERVICE: Service = {
  name: 'streams',
  about: ({ stream, group }) => ({ stream, group }),
  check,
  read: ({ stream, group }, value, versions) => readValue(stream as string, group as string, value, versions),
}

function itemOf(id: unknown, options?: WriteOptions): Members {
  const { ifVersion, if_version = ifVersion, ttl, key, ifExists, if_exists = ifExists } = options ?? {}
  return { item: text(id), ...termsOf(if_version, ttl, key, if_exists) }
}

function withoutOld(data: unknown): unknown {
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, OLD_KEY)) return data
  const { [OLD_KEY]: _, ...kept } = data as Record<string, unknown>
  return kept
}

/** Names that are asked of every object; a stream of such a name still goes first. */
const NO_STREAMS: ReadonlySet<string> = new Set([
  'then', 'toJSON', 'toString', 'valueOf', 'constructor', 'inspect', 'asymmetricMatch', 'nodeType', '$$typeof',
])

/** All streams by name, `streams.chat` or `streams['chat']`. `known` gives their names once they are told. */
export function makeStreams(
  calls: Calls,
  invocation: Invocation,
  known: () => ReadonlySet<string> | undefined,
): Record<string, Stream> {
  const made = new Map<string, Stream>()
  const find = (name: string | symbol): Stream | undefined => {
    if (typeof name === 'symbol') return undefined
    const names = known()
    if (names !== undefined && !names.has(name)) {
      if (NO_STREAMS.has(name)) return undefined
      throw unknownStream(name, names)
    }
    if (names === undefined && NO_STREAMS.has(name)) return undefined
    let stream = made.get(name)
    if (stream === undefined) made.set(name, (stream = new Stream(calls, invocation, name)))
    return stream
  }
  return new Proxy<Record<string, Stream>>(Object.create(null) as Record<string, Stream>, {
    get: (_, name) => find(name),
    has: (_, name) => typeof name === 'string' && (known()?.has(name) ?? true),
    ownKeys: () => [...(known() ?? [])],
    getOwnPropertyDescriptor: (_, name) => {
      if (typeof name === 'symbol' || known()?.has(name) !== true) return undefined
      return { configurable: true, enumerable: true, value: find(name) }
    },
    set: () => false,
  })
}

function unknownStream(name: string, names: ReadonlySet<string>): HeadwaterError {
  const near = nearest(name, [...names])
  const all = [...names].sort().join(', ') || 'none'
  const hint = near === undefined ? `The project declares: ${all}.` : `Did you mean "${near}"?`
  return new HeadwaterError({ code: 'STREAM_UNKNOWN', message: `There is no stream "${name}".`, hint, stream: name })
}

/** The name that takes the fewest changes of letters, if they are few. */
function nearest(name: string, names: readonly string[]): string | undefined {
  const distances = names.map((one) => ({ one, distance: distance(name.toLowerCase(), one.toLowerCase()) }))
  const [best] = distances.sort((a, b) => a.distance - b.distance)
  return best !== undefined && best.distance <= Math.max(name.length, best.one.length) / 2 ? best.one : undefined
}

function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const change = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[other.length] as number
}
