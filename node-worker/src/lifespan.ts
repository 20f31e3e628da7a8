/**
 * What lives as long as a thread of user code: the project's lifespan, entered before its first invocation. Owns when
 * it is entered and left, and what is said when it fails. Knows no invocation.
 */

import { DeclarationFault, member } from './exports.ts'
import { describe, locationsOf, tracebackOf } from './faults.ts'
import type { ErrorMembers } from './errors.ts'
import type { Namespace } from './project/externals.ts'
import type { Project } from './project/project.ts'
import { nameOf } from './values.ts'

/** Milliseconds that it may take to its yield; what waits for it fails then. */
const ENTER_WITHIN = 30_000

/** Milliseconds that it may take from its yield to its end. The server kills a process that takes five seconds. */
export const LEAVE_WITHIN = 3000

const FILE = /^headwater_lifespan\.[cm]?[jt]s$/
const HINT = 'Write `export async function* lifespan() { ... }` with one yield.'

/** Where a project's lifespan is; undefined where it has none. */
export function lifespanFile(paths: readonly string[]): string | undefined {
  return paths.filter((path) => FILE.test(path)).sort().at(-1)
}

type Make = (opening: Opening) => unknown

/** What a lifespan is given. */
export interface Opening {
  readonly logger: unknown
}

/** The function of a file, by name or as its default. Throws DeclarationFault where there is none. */
export function lifespanOf(module: Namespace): Make {
  const whole = module['default']
  const found = member(module, 'lifespan') ?? (typeof whole === 'function' ? whole : undefined)
  if (typeof found !== 'function') {
    const said = found === undefined ? 'exports no function' : `has a ${nameOf(found)}, not a function,`
    throw new DeclarationFault('LIFESPAN_INVALID', `The file ${said} named lifespan.`, HINT)
  }
  if (found.constructor.name === 'AsyncFunction') {
    throw new DeclarationFault('LIFESPAN_INVALID', "The file's lifespan has no yield.", HINT)
  }
  return found as Make
}

export interface LifespanParts {
  readonly project: Project
  readonly logger: unknown
  readonly say: (message: string, fields: Readonly<Record<string, unknown>>) => void
  /** Called with its file while it is entered, and with '' after: should it end the process, nobody else can say so. */
  readonly onEnter: (file: string) => void
  /** Called when it has reached its yield. */
  readonly onOpen: () => void
  readonly enterWithin?: number
  readonly leaveWithin?: number
}

export class Lifespan {
  /** What it has yielded; undefined where there is none. */
  app: unknown
  isOpen: boolean
  readonly #parts: LifespanParts
  readonly #file: string | undefined
  #opened: Iterator<unknown> | AsyncIterator<unknown> | undefined
  #entering: Promise<ErrorMembers | undefined> | undefined
  #leaving: Promise<void> | undefined

  constructor(parts: LifespanParts) {
    this.#parts = parts
    this.#file = lifespanFile(parts.project.sources.paths())
    this.isOpen = this.#file === undefined
  }

  /** Whether there is something to leave. */
  get isEntered(): boolean {
    return this.#opened !== undefined
  }

  /** Enter it, unless it is entered; everyone who asks meanwhile waits for the same try. Gives what went wrong. */
  enter(): Promise<ErrorMembers | undefined> {
    this.#entering ??= this.#enter().finally(() => (this.#entering = undefined))
    return this.#entering
  }

  /** Leave it, in a bounded time; it may be entered again. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave().finally(() => (this.#leaving = undefined))
    return this.#leaving
  }

  async #enter(): Promise<ErrorMembers | undefined> {
    await this.#leaving
    if (this.isOpen) return undefined
    const file = this.#file as string
    let make: Make
    try {
      make = lifespanOf(await this.#parts.project.import(file))
    } catch {
      return failed(`${file} cannot be used, see the problem that its load has shown.`)
    }
    this.#parts.onEnter(file)
    try {
      const within = this.#parts.enterWithin ?? ENTER_WITHIN
      this.app = await inTime(this.#open(make), within)
    } catch (error) {
      void this.#opened?.return?.()
      this.#opened = undefined
      const at = this.#tell(error, 'before its yield')
      return failed(`${file} failed before its yield${at}, so nothing can run.`)
    } finally {
      this.#parts.onEnter('')
    }
    this.isOpen = true
    this.#parts.onOpen()
    return undefined
  }

  async #open(make: Make): Promise<unknown> {
    const made = make({ logger: this.#parts.logger })
    const opened = (this.#opened = iteratorOf(made))
    if (opened === undefined) throw new TypeError(`lifespan gives a ${nameOf(made)} and no generator`)
    const { done, value } = await opened.next()
    if (done === true) throw new TypeError('lifespan has ended without a yield')
    return value
  }

  async #leave(): Promise<void> {
    await this.#entering
    const opened = this.#opened
    if (opened === undefined) return
    this.#opened = undefined
    this.isOpen = false
    try {
      const { done } = await inTime(Promise.resolve(opened.next()), this.#parts.leaveWithin ?? LEAVE_WITHIN)
      if (done !== true) throw new TypeError('lifespan yields more than once')
    } catch (error) {
      this.#tell(error, 'after its yield')
    }
    this.app = undefined
  }

  /** Log it, and give where it happened. */
  #tell(error: unknown, when: string): string {
    const { sources, root } = this.#parts.project
    const [place] = locationsOf(error, (file) => sources.relative(file) !== undefined)
    const file = place && sources.relative(place.file)
    const at = place === undefined ? '' : ` (${file}:${place.line})`
    const said = error instanceof TookTooLong ? error.message : describe(error)
    const line = place === undefined ? {} : { file, line: place.line }
    this.#parts.say(`${this.#file} failed ${when}: ${said}${at}`, { ...line, traceback: tracebackOf(error, root) })
    return at
  }
}

class TookTooLong extends Error {}

/** The timer keeps the thread going: whoever waits gets to hear of it. */
async function inTime<Value>(work: Promise<Value>, within: number): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TookTooLong(`it took longer than ${within / 1000} s`)), within)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function iteratorOf(made: unknown): Iterator<unknown> | AsyncIterator<unknown> | undefined {
  if (typeof made !== 'object' || made === null) return undefined
  if (Symbol.asyncIterator in made) return (made as AsyncIterable<unknown>)[Symbol.asyncIterator]()
  return Symbol.iterator in made ? (made as Iterable<unknown>)[Symbol.iterator]() : undefined
}

function failed(message: string): ErrorMembers {
  return { code: 'HANDLER_FAILED', message }
}
