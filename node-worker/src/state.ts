/** `ctx.state`: values under a group and a key. Owns names and arguments; the way is `calls.ts`'s. */

import type { Call, Calls, Members, Service } from './calls.ts'
import { invalidInput } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { checkName, checkTerms, termsOf, text } from './members.ts'
import { toJson, toJsonWithHalves } from './values.ts'

export interface StateOptions {
  /** Only if the value's version is this one; 0 says that there must be none. */
  readonly ifVersion?: number
  readonly if_version?: number
  /** Seconds after which the value expires; an `update` gives it to a value that it makes. */
  readonly ttl?: number
  /** An `update` of what is not there does nothing and gives null; without it, it makes the value. */
  readonly ifExists?: boolean
  readonly if_exists?: boolean
  /** A repeated write with the same key does nothing and gives the first one's result. */
  readonly writeKey?: string
  readonly write_key?: string
}

interface NamesPage {
  readonly after?: string
  readonly limit?: number
}

/**
 * The state of the project, for one invocation. Every method begins at once, and may be taken off it. Numbers given as
 * groups or keys become text. A value is whatever JSON can hold, and comes back as it is; null where there is none.
 */
export class State {
  readonly #calls: Calls
  readonly #invocation: Invocation

  constructor(calls: Calls, invocation: Invocation) {
    this.#calls = calls
    this.#invocation = invocation
  }

  readonly get = (group: string, key: string): Call => this.#begin('get', this.get, placeOf(group, key))

  readonly getGroup = (group: string): Call => this.#begin('get_group', this.getGroup, { group: text(group) })

  readonly get_group = (group: string): Call => this.#begin('get_group', this.get_group, { group: text(group) })

  /** The `{ key, value }` of a group; without a group the names of the groups, at most `limit` after `after`. */
  readonly list = (group?: string | null, page?: NamesPage): Call => {
    if (group !== undefined && group !== null) return this.#begin('list', this.list, { group: text(group) })
    const { after = '', limit } = page ?? {}
    return this.#begin('groups', this.list, { after, ...(limit === undefined ? {} : { limit }) })
  }

  readonly set = (group: string, key: string, value: unknown, options?: StateOptions): Call =>
    this.#begin('set', this.set, placeOf(group, key, options), () => toJson(value, 'value'))

  readonly update = (group: string, key: string, operations: unknown, options?: StateOptions): Call =>
    this.#begin('update', this.update, placeOf(group, key, options), () => toJsonWithHalves(operations, 'ops'))

  readonly delete = (group: string, key: string, options?: StateOptions): Call =>
    this.#begin('delete', this.delete, placeOf(group, key, options))

  readonly clear = (group: string): Call => this.#begin('clear', this.clear, { group: text(group) })

  #begin(method: string, below: Function, members: Members, data?: () => string): Call {
    return this.#calls.begin(this.#invocation, SERVICE, method, members, below, data)
  }
}

function placeOf(group: unknown, key: unknown, options?: StateOptions | null): Members {
  const { ifVersion, if_version = ifVersion, ttl, writeKey, write_key = writeKey, ifExists, if_exists = ifExists } = options ?? {}
  return { group: text(group), item: text(key), ...termsOf(if_version, ttl, write_key, if_exists) }
}

function check(method: string, members: Members): void {
  if (method !== 'groups') checkName('group', members['group'])
  else checkName('name in after', members['after'])
  if ('item' in members) checkName('key', members['item'])
  if ('limit' in members && !Number.isInteger(members['limit'])) throw invalidInput('limit is a whole number.')
  checkTerms(members)
}

const SERVICE: Service = {
  name: 'state',
  about: ({ group }) => (group === undefined ? {} : { group }),
  check,
  read: (_about, value) => value,
}
