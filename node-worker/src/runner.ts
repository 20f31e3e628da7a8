/**
 * Runs invocations in one thread: the order of their messages, and what becomes of their outcome. Owns every
 * invocation of its thread from its beginning to its `result`; knows no socket, and of a kind of invocation only its
 * entry in `kinds.ts`.
 */

import { Calls, type Call } from './calls.ts'
import type { Channel } from './channel.ts'
import { makeContext, makeLogger, sendLog, type ContextParts } from './context.ts'
import { HeadwaterError, invalidInput, type ErrorMembers } from './errors.ts'
import type { Handler } from './exports.ts'
import { cancelled, failureOf, locationsOf, look } from './faults.ts'
import type { Header } from './frames.ts'
import { current, Invocation } from './invocation.ts'
import { kindOf, type Kind } from './kinds.ts'
import { Lifespan } from './lifespan.ts'
import type { Namespace } from './project/externals.ts'
import type { Project } from './project/project.ts'
import type { Post } from './posts.ts'
import type { Shared } from './shared.ts'

/** What ends an invocation: a message and its sections. */
type Outcome = readonly [header: Header, sections: readonly Uint8Array[]]

export interface RunnerParts {
  readonly channel: Channel
  readonly shared: Shared
  /** The lane's number; 0 is the main thread. */
  readonly lane: number
  readonly project: Project
  /** Called when an invocation has ended and its slot is free. */
  readonly onEnded: (slot: number) => void
  /** Called when the lifespan is entered. */
  readonly onOpen: () => void
}

export class Runner {
  readonly calls: Calls
  readonly lifespan: Lifespan
  readonly #parts: RunnerParts
  readonly #running = new Map<number, Invocation>()
  readonly #context: ContextParts
  #names: ReadonlySet<string> | undefined

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.calls = new Calls(parts.channel, parts.lane, (invocation, call) => this.#logFailure(invocation, call))
    this.#context = { channel: parts.channel, calls: this.calls, known: () => this.#names, app: () => this.lifespan.app }
    this.lifespan = new Lifespan({
      project: parts.project,
      logger: makeLogger(parts.channel, undefined),
      say: (message, fields) => sendLog(parts.channel, 'error', message, fields, undefined),
      onEnter: (file) => parts.channel.send({ t: 'loading', file }),
      onOpen: parts.onOpen,
    })
  }

  /** Take the names of the project's streams. */
  know(names: readonly string[]): void {
    this.#names = new Set(names)
  }

  /** Stop a running invocation. */
  cancel(id: number): void {
    this.#running.get(id)?.cancel()
  }

  /**
   * Run something, unless it was taken back. Where its file is imported already, user code begins within this
   * call: what comes behind it in the queue has not started while this blocks.
   */
  invoke(post: Post): void {
    if (this.lifespan.isOpen) {
      this.#import(post)
      return
    }
    void this.lifespan.enter().then((failed) => {
      if (failed === undefined) this.#import(post)
      else this.#begin(post, () => raise(new HeadwaterError(failed)))
    })
  }

  #import(post: Post): void {
    const { project } = this.#parts
    const file = post.header['file'] as string
    const module = project.imported(file)
    if (module !== undefined || !project.has(file)) {
      this.#begin(post, () => module)
      return
    }
    project.import(file).then(
      (found) => this.#begin(post, () => found),
      (error: unknown) => this.#begin(post, () => raise(error)),
    )
  }

  #begin(post: Post, module: () => Namespace | undefined): void {
    if (!this.#parts.shared.start(post.slot)) {
      this.#parts.onEnded(post.slot)
      return
    }
    const invocation = new Invocation(post)
    this.#running.set(invocation.header.id, invocation)
    this.#parts.channel.send({ t: 'started', id: invocation.header.id })
    void current.run(invocation, () => this.#run(invocation, module))
  }

  async #run(invocation: Invocation, module: () => Namespace | undefined): Promise<void> {
    const [header, sections] = await this.#outcome(invocation, module)
    await invocation.end()
    this.#finish(invocation, header, sections)
  }

  /** What user code makes of it, or the word that it was cancelled, whichever comes first. */
  #outcome(invocation: Invocation, module: () => Namespace | undefined): Promise<Outcome> {
    const { id, step } = invocation.header
    return new Promise((resolve) => {
      invocation.onCancel(() => resolve([failure(id, cancelled(step)), []]))
      this.#result(invocation, module).then(resolve, (error: unknown) => resolve(this.#failed(invocation, error)))
    })
  }

  #failed(invocation: Invocation, error: unknown): Outcome {
    const { id, step } = invocation.header
    const stopped = invocation.isCancelled && look(() => isAbort(error), false)
    return [failure(id, stopped ? cancelled(step) : failureOf(error, step, this.#parts.project.root)), []]
  }

  async #result(invocation: Invocation, module: () => Namespace | undefined): Promise<Outcome> {
    const { id, kind: name, file } = invocation.header
    const kind = kindOf(name)
    if (kind === undefined) {
      return [failure(id, { code: 'NOT_SUPPORTED_YET', message: `A worker cannot run "${name}" invocations yet.` }), []]
    }
    const exported = module()
    const chain = exported === undefined ? [] : kind.functions(exported)
    if (chain.length === 0) return [failure(id, undeclared(file)), []]
    const returned = await this.#runChain(kind, chain, invocation)
    this.#hold(-1)
    const { members, sections } = kind.result(returned)
    return [{ t: 'result', id, ok: true, ...members }, sections]
  }

  /** Run user code. Reading the request and writing the answer is no work of the step's. */
  #runChain(kind: Kind, chain: readonly Handler[], invocation: Invocation): Promise<unknown> {
    this.#hold(-1)
    const values = kind.values(invocation.post, () => makeContext(this.#context, invocation))
    this.#hold(invocation.post.slot)
    const returned = runChain(chain, values)
    this.#hold(-1)
    return returned
  }

  /** Tell the watchdog whose work the main thread's loop does; -1 says nobody's. */
  #hold(slot: number): void {
    if (this.#parts.lane === 0) this.#parts.shared.hold(slot)
  }

  #finish(invocation: Invocation, header: Header, sections: readonly Uint8Array[]): void {
    const { channel, shared, onEnded } = this.#parts
    for (const call of invocation.failures) if (!call.isObserved) this.#logFailure(invocation, call)
    if (invocation.moreFailures > 0) {
      sendLog(channel, 'error', `${invocation.moreFailures} more calls of this invocation failed.`, {}, invocation)
    }
    const { id } = invocation.header
    this.#running.delete(id)
    try {
      channel.send(header, sections)
    } catch (error) {
      const message = `The response cannot be sent: ${(error as Error).message}`
      channel.send(failure(id, { code: 'HANDLER_FAILED', message }))
    }
    shared.free(invocation.post.slot)
    onEnded(invocation.post.slot)
  }

  /** The log line for a failed call that nobody awaited. */
  #logFailure(invocation: Invocation, call: Call): void {
    const { root, sources } = this.#parts.project
    const { method, about } = call
    const [place] = locationsOf(call.error, (file) => file.startsWith(`${root}/`))
    const { message, ...members } = membersOf(call.error)
    const file = place && (sources.relative(place.file) ?? place.file)
    const at = place === undefined ? '' : ` (${file}:${place.line})`
    const text = `A call of ${method} that nobody awaited failed: ${message}${at}`
    const where = place === undefined ? {} : { file, line: place.line }
    sendLog(this.#parts.channel, 'error', text, { ...about, ...where, ...members }, invocation)
  }
}

function membersOf(error: Error | undefined): ErrorMembers {
  if (error instanceof HeadwaterError) return HeadwaterError.membersOf(error)
  return { code: 'INTERNAL', message: String(error) }
}

function raise(error: unknown): never {
  throw error
}

function failure(id: number, error: ErrorMembers): Header {
  return { t: 'result', id, ok: false, error }
}

function undeclared(file: string): ErrorMembers {
  return HeadwaterError.membersOf(invalidInput(`${file} declares nothing that can be run.`))
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

/** Run middleware around a handler, the last of the chain; each `next` gives the inner response. */
function runChain(chain: readonly Handler[], values: readonly unknown[], at = 0): Promise<unknown> {
  const run = async (): Promise<unknown> => {
    const link = chain[at] as Handler
    return at === chain.length - 1 ? link(...values) : link(...values, () => runChain(chain, values, at + 1))
  }
  return run()
}
