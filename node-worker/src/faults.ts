/** Errors of user code -> errors of the protocol. Owns how they look in the log and where a fault is. */

import { HeadwaterError, type ErrorMembers } from './errors.ts'
import { toJson } from './values.ts'

/** Longest traceback, in characters; the middle of a longer one is left out. */
const MAX_TRACEBACK = 64 * 1024
const MAX_CAUSES = 10

const FRAME = /^\s+at .*?\(?((?:file:\/\/)?\/.*?):(\d+):(\d+)\)?$/

export interface Location {
  readonly file: string
  readonly line: number
}

/** One line or more: the type and the message. */
export function describe(error: unknown): string {
  try {
    if (error instanceof Error) return Error.prototype.toString.call(error)
    return typeof error === 'string' ? error : `A value was thrown that is no Error: ${JSON.stringify(error)}`
  } catch {
    return 'An error that cannot be shown.'
  }
}

/** Look at what user code has thrown, which may throw in turn. */
export function look<T, U>(at: () => T, instead: U): T | U {
  try {
    return at()
  } catch {
    return instead
  }
}

/** The stack with its causes: in each the frames of the project in `root` first, then those of packages. */
export function tracebackOf(error: unknown, root: string): string {
  const parts: string[] = []
  const waiting: [label: string, error: unknown][] = [['', error]]
  for (let next = waiting.shift(); next !== undefined && parts.length < MAX_CAUSES; next = waiting.shift()) {
    const [label, current] = next
    const part = label + oneTraceback(current, root)
    // Set in, so that the first line is seen to be what was thrown.
    parts.push(label === '' ? part : part.replace(/^/gm, '  '))
    waiting.unshift(...look(() => causesOf(current), []))
  }
  const text = parts.join('\n')
  if (text.length <= MAX_TRACEBACK) return text
  const half = MAX_TRACEBACK / 2
  return `${text.slice(0, half)}\n    ...\n${text.slice(-half)}`
}

/** What led to an error, and the errors that it is made of. */
function causesOf(error: unknown): [label: string, error: unknown][] {
  if (!(error instanceof Error)) return []
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : []
  const cause: [string, unknown][] = error.cause === undefined ? [] : [['Caused by: ', error.cause]]
  return [...cause, ...inner.slice(0, MAX_CAUSES).map((one): [string, unknown] => ['Among them: ', one])]
}

function oneTraceback(error: unknown, root: string): string {
  const { head, frames } = partsOf(error)
  const shown = frames.filter((frame) => !frame.includes('node:internal/'))
  const own = shown.filter((frame) => isOwn(frame, root))
  const others = shown.filter((frame) => !isOwn(frame, root))
  return [head, ...own, ...others].join('\n')
}

function partsOf(error: unknown): { head: string; frames: string[] } {
  const stack: unknown = look(() => (error instanceof Error ? error.stack : undefined), undefined)
  if (typeof stack !== 'string') return { head: describe(error), frames: [] }
  const lines = stack.split('\n')
  const first = lines.findIndex((line) => line.startsWith('    at '))
  if (first < 0) return { head: stack, frames: [] }
  return { head: lines.slice(0, first).join('\n'), frames: lines.slice(first) }
}

function isOwn(frame: string, root: string): boolean {
  return frame.includes(`${root}/`) && !frame.includes('/node_modules/')
}

/** The places of the stack in files that are `mine`, innermost first. */
export function locationsOf(error: unknown, mine: (file: string) => boolean): Location[] {
  return partsOf(error).frames.flatMap((frame) => {
    const found = FRAME.exec(frame)
    const file = found?.[1]?.replace(/^file:\/\//, '') ?? ''
    return found !== null && mine(file) ? [{ file, line: Number(found[2]) }] : []
  })
}

/** The `error` of an invocation that user code failed. What only the log may tell is in the traceback. */
export function failureOf(error: unknown, step: string, root: string): ErrorMembers {
  const ours = look(() => (error instanceof HeadwaterError ? error : undefined), undefined)
  if (ours?.code === 'HANDLER_FAILED') return HeadwaterError.membersOf(ours)
  const cause = ours === undefined ? {} : { cause: causeOf(ours) }
  const message = `The step "${step}" failed.`
  return { code: 'HANDLER_FAILED', message, traceback: tracebackOf(error, root), ...cause }
}

function causeOf(error: HeadwaterError): ErrorMembers {
  const members = HeadwaterError.membersOf(error)
  const { code, message, hint = '' } = members
  try {
    return { ...(JSON.parse(toJson(members)) as object), code, message, hint }
  } catch {
    // User code may put what it likes into the details.
    return { code, message, hint }
  }
}

export function cancelled(step: string): ErrorMembers {
  return { code: 'HANDLER_FAILED', message: `The step "${step}" was cancelled.`, cancelled: true }
}
