/** `ctx.emit`: what user code gives to other steps to do. Owns its arguments; the way is `calls.ts`'s. */

import type { Call, Calls, Members, Service } from './calls.ts'
import { invalidInput } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { checkSeconds } from './members.ts'
import { nameOf, toJson } from './values.ts'

/** What steps emit. `delay` is in seconds; fifo steps keep the order of a `messageGroupId`. */
export interface EmittedEvent {
  readonly topic: string
  readonly data?: unknown
  readonly messageGroupId?: string
  readonly delay?: number
  /** A repeated one does nothing, and gives the runs of the first. */
  readonly key?: string
}

export type Emit = (event: EmittedEvent) => Call

/** `ctx.emit` of one invocation. It has begun when it returns, and is committed when its promise resolves, with `runs`, the
 * ids of the runs by the names of their steps, and `repeated`, whether the key was used before. */
export function makeEmit(calls: Calls, invocation: Invocation): Emit {
  const emit: Emit = (event, ...more: unknown[]) => {
    if (more.length > 0 || typeof event !== 'object' || event === null) {
      return calls.begin(invocation, SERVICE, 'emit', { topic: event, isMisused: true }, emit)
    }
    const { topic, data, messageGroupId, delay, key, ...others } = event
    const unknown = Object.keys(others)[0]
    const given = { topic, group: messageGroupId ?? undefined, delay: delay ?? undefined, key: key ?? undefined, unknown }
    return calls.begin(invocation, SERVICE, 'emit', given, emit, () => toJson(data ?? null, 'data'))
  }
  return emit
}

const SHAPE = "For example emit({ topic: 'order.created', data: { id: 1 } })."

function check(_method: string, { topic, group, delay, key, isMisused }: Members): void {
  if (isMisused === true) {
    const named = typeof topic === 'string' ? topic.slice(0, 100) : 'order.created'
    throw invalidInput('emit takes one object that holds the topic and the data.', `Write emit({ topic: '${named}', data: ... }).`)
  }
  if (typeof topic !== 'string') throw invalidInput('An event needs a topic that is a text.', SHAPE)
  if (group !== undefined && typeof group !== 'string') throw invalidInput(`messageGroupId is a text, not ${nameOf(group)}.`, SHAPE)
  if (key !== undefined && typeof key !== 'string') throw invalidInput(`key is a text, not ${nameOf(key)}.`, SHAPE)
  checkSeconds('delay', delay)
}

const SERVICE: Service = {
  name: 'events',
  about: ({ topic }) => ({ topic }),
  check,
  read: (_about, value) => value,
}
