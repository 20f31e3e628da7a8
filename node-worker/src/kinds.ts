/**
 * The kinds of invocations, one entry each: which functions run, with which values, and what becomes of what they
 * return. Nothing else here knows a kind; the server has its side of each in `steps/project/triggers`.
 */

import { handlerFailed } from './errors.ts'
import { authenticateOf, chainOf, conditionOf, ruleOf, streamAuthOf, type Handler, type Verb } from './exports.ts'
import type { Namespace } from './project/externals.ts'
import type { Post } from './posts.ts'
import { requestOf } from './requests.ts'
import { answerOf } from './responses.ts'
import { fromJson, nameOf, toJson } from './values.ts'

/** The members of a `result` that is ok, and its sections. */
export interface Result {
  readonly members: object
  readonly sections: readonly Uint8Array[]
}

export interface Kind {
  /** The functions of a file, middleware first; none where it declares none. */
  readonly functions: (module: Namespace) => readonly Handler[]
  /** What each function gets, from the server's message and, where it wants one, a `ctx`. */
  readonly values: (post: Post, context: () => object) => readonly unknown[]
  /** Throws HANDLER_FAILED where what was returned means nothing. */
  readonly result: (returned: unknown) => Result
}

export const KINDS: Readonly<Record<string, Kind>> = {
  api: {
    functions: chainOf,
    values: (post, context) => [requestOf(post), context()],
    result: (returned) => {
      const { members, body } = answerOf(returned)
      return { members, sections: [body] }
    },
  },
  access: rule('read', subscription),
  can_write: rule('write', change),
  can_send: rule('send', change),
  can_delete: rule('delete', change),
  can_cancel: rule('cancel', subscription),
  authenticate: {
    functions: (module) => [authenticateOf(module)],
    values: ({ header: { request } }) => [request],
    result: contextOf,
  },
  stream_auth: {
    functions: (module) => [streamAuthOf(module)],
    values: ({ header: { request } }) => [request],
    result: contextOf,
  },
  condition: {
    functions: (module) => {
      const condition = conditionOf(module)
      return condition === undefined ? [] : [condition]
    },
    values: (post, context) => [fromJson(textOf(post)), context()],
    result: (returned) => ({ members: { wanted: returned === true }, sections: [] }),
  },
  event: {
    functions: chainOf,
    values: (post, context) => [fromJson(textOf(post)), context()],
    result: nothing,
  },
  cron: {
    functions: chainOf,
    values: (_, context) => [context()],
    result: nothing,
  },
}

/** A function of a stream's file that says who may do something. */
function rule(verb: Verb, asked: (post: Post) => unknown): Kind {
  return {
    functions: (module) => {
      const found = ruleOf(module, verb)
      return typeof found === 'function' ? [found] : []
    },
    values: (post) => [asked(post), post.header['auth']],
    result: allowed,
  }
}

function subscription({ header: { group, item } }: Post): unknown {
  return { groupId: group, id: item ?? undefined }
}

/** What would be written or sent; an event that is for no item has no id. */
function change(post: Post): unknown {
  const { id, ...rest } = fromJson(textOf(post)) as { id?: unknown }
  return { id: id ?? undefined, ...rest }
}

/** Exactly true is a yes; what is neither true nor false is named, for its author meant something. */
function allowed(returned: unknown): Result {
  if (typeof returned === 'boolean') return { members: { allowed: returned }, sections: [] }
  const nothing = returned === undefined || returned === null
  const said = nothing ? 'nothing' : `a value of type ${nameOf(returned)}`
  return { members: { allowed: false, returned: said }, sections: [] }
}

/** What an event or cron step returns means nothing. */
function nothing(): Result {
  return { members: {}, sections: [] }
}

/** Who asks, as the project says: an object, or nothing for nobody. */
function contextOf(returned: unknown): Result {
  if (returned === undefined || returned === null) return { members: { known: false }, sections: [] }
  if (typeof returned !== 'object' || Array.isArray(returned)) {
    throw handlerFailed(`authenticate gives an object or null, not ${nameOf(returned)}`)
  }
  for (const name of ['exp', 'iat']) {
    const time: unknown = (returned as Record<string, unknown>)[name]
    // JSON would say null, which is a context without end.
    if (typeof time === 'number' && !Number.isFinite(time)) {
      throw handlerFailed(`authenticate gives a context whose ${name} is ${time}`)
    }
  }
  return { members: { known: true }, sections: [Buffer.from(toJson(returned, 'context'))] }
}

function textOf({ sections: [section = 'null'] }: Post): string {
  return typeof section === 'string' ? section : Buffer.from(section).toString()
}

/** The kind of that name, if there is one. */
export function kindOf(name: string): Kind | undefined {
  return Object.hasOwn(KINDS, name) ? KINDS[name] : undefined
}

/** Whether a step of that type must have a handler; one of a type that is not here is the server's to refuse. */
export function needsHandler(type: unknown): boolean {
  return typeof type === 'string' && kindOf(type)?.functions === chainOf
}
