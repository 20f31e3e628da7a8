/** `ctx`, the second argument of handlers. Owns its names; what streams do is `streams.ts`'s, what state does
 * `state.ts`'s. */

import { inspect } from 'node:util'

import type { Calls } from './calls.ts'
import type { Channel } from './channel.ts'
import { makeEmit } from './emit.ts'
import { describe } from './faults.ts'
import { NOBODY, type Invocation } from './invocation.ts'
import { makeProgress } from './progress.ts'
import { Run } from './run.ts'
import { State } from './state.ts'
import { makeStreams } from './streams.ts'
import { toJson } from './values.ts'

export type Level = 'debug' | 'info' | 'warn' | 'error'

/** Longest log message and longest single field, in characters; the rest is cut off. */
const MAX_LOG_CHARS = 64 * 1024

type Log = (message: unknown, fields?: unknown) => void

/** `ctx.logger`. Its methods may be taken off it. */
export interface Logger {
  readonly debug: Log
  readonly info: Log
  readonly warn: Log
  readonly error: Log
  readonly log: Log
}

export function makeLogger(channel: Channel, invocation: Invocation | undefined): Logger {
  const at = (level: Level): Log => (message, fields) => {
    sendLog(channel, level, typeof message === 'string' ? message : inspect(message), fieldsOf(fields), invocation)
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), log: at('info') }
}

/** Send a log line, cut to size. */
export function sendLog(
  channel: Channel,
  level: Level,
  message: string,
  fields: Readonly<Record<string, unknown>>,
  invocation: Invocation | undefined,
): void {
  const whose = invocation?.whose() ?? NOBODY
  const header = { t: 'log', level, message: message.slice(0, MAX_LOG_CHARS), fields, ...whose }
  try {
    channel.send(header)
  } catch {
    channel.send({ ...header, message: message.slice(0, 1000), fields: { cut: true } })
  }
}

/** Log fields as plain JSON values: what has no JSON form is shown as people see it. */
export function fieldsOf(fields: unknown): Record<string, unknown> {
  if (fields === undefined || fields === null) return {}
  const named = isRecord(fields) ? fields : { value: fields }
  return Object.fromEntries(Object.entries(named).map(([name, value]) => [name, fieldOf(value)]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Error)
}

function fieldOf(value: unknown): unknown {
  if (value instanceof Error) return (value.stack ?? describe(value)).slice(0, MAX_LOG_CHARS)
  if (value === undefined) return null
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') return shown(value)
  try {
    const text = toJson(value)
    return text.length <= MAX_LOG_CHARS ? (JSON.parse(text) as unknown) : text.slice(0, MAX_LOG_CHARS)
  } catch {
    return shown(value)
  }
}

function shown(value: unknown): string {
  try {
    return inspect(value, { depth: 4 }).slice(0, MAX_LOG_CHARS)
  } catch (error) {
    return `a value that cannot be shown: ${describe(error)}`
  }
}

export interface ContextParts {
  readonly calls: Calls
  readonly channel: Channel
  /** The names of the project's streams, once they are told. */
  readonly known: () => ReadonlySet<string> | undefined
  /** What the project's lifespan has yielded. */
  readonly app: () => unknown
}

/** What a `ctx` holds: each member by its name, and how it is made. */
const MEMBERS: Readonly<Record<string, (parts: ContextParts, invocation: Invocation) => unknown>> = {
  streams: (parts, invocation) => makeStreams(parts.calls, invocation, parts.known),
  logger: (parts, invocation) => makeLogger(parts.channel, invocation),
  state: (parts, invocation) => new State(parts.calls, invocation),
  emit: (parts, invocation) => makeEmit(parts.calls, invocation),
  app: (parts) => parts.app(),
  auth: (_, invocation) => invocation.header.auth ?? null,
  attempt: (_, invocation) => invocation.header.attempt ?? 1,
  run: (_, invocation) => invocation.header.run ?? '',
  traceId: (_, invocation) => invocation.header.trace,
  trace_id: (_, invocation) => invocation.header.trace,
  flows: (_, invocation) => [...invocation.header.flows],
  progress: ({ calls, channel }, invocation) =>
    makeProgress({ calls, invocation, tell: (message) => sendLog(channel, 'warn', message, {}, invocation) }),
  step_name: (_, invocation) => invocation.header.step,
  stepName: (_, invocation) => invocation.header.step,
}

/** What a handler gets beside its input: all of `MEMBERS`, and the signal, which is made when it is asked for. */
export function makeContext(parts: ContextParts, invocation: Invocation): object {
  const run = new Run(parts.calls, invocation)
  const context: Record<string, unknown> = {
    step: run.step,
    owns: run.owns,
    get signal(): AbortSignal {
      return invocation.signal
    },
    /** Whether the run is to end: somebody cancelled it, or nobody waits for the request's answer. */
    get cancelled(): boolean {
      return invocation.isCancelled
    },
  }
  for (const name in MEMBERS) context[name] = (MEMBERS[name] as (typeof MEMBERS)[string])(parts, invocation)
  return context
}
