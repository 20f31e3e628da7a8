/**
 * A thread that runs user code: the main one, or a lane. Owns its wiring, what its messages do, and what becomes
 * of errors that nobody caught.
 */

import { createHook } from 'node:async_hooks'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Channel } from './channel.ts'
import { forwardConsole } from './console.ts'
import { sendLog } from './context.ts'
import { describe, tracebackOf } from './faults.ts'
import { current } from './invocation.ts'
import { Leftovers, mayBeHeld } from './leftovers.ts'
import { Project } from './project/project.ts'
import type { Post, ThreadParts } from './posts.ts'
import { Runner } from './runner.ts'
import { Shared } from './shared.ts'
import { installStacks, SourceMaps } from './sourcemaps.ts'

const OWN_FOLDER = dirname(fileURLToPath(import.meta.url)) + '/'

export class Loop {
  readonly channel: Channel
  readonly shared: Shared
  readonly #lane: number
  readonly #maps = new SourceMaps()
  readonly #onEnded: (slot: number) => void
  readonly #leftovers = new Leftovers()
  #project: Project | undefined
  #runner: Runner | undefined

  constructor(parts: ThreadParts, lane: number, onEnded: (slot: number) => void = () => undefined) {
    this.shared = new Shared(parts.memory, lane)
    this.channel = new Channel({ fd: parts.fd, limit: parts.limit, shared: this.shared, isMain: lane === 0 })
    this.#lane = lane
    this.#onEnded = onEnded
  }

  /** Prepare the thread for user code. */
  settle(): void {
    installStacks(this.#maps, OWN_FOLDER)
    forwardConsole(this.channel)
    refuseExit()
    process.on('uncaughtException', (error) => this.#sayUncaught('An error that nothing caught', error))
    process.on('unhandledRejection', (error) => this.#sayUncaught('A promise that nobody awaited failed', error))
  }

  /** Take the sources; nothing is imported yet. */
  load(post: Post): Project {
    const project = new Project(post, this.#maps)
    const { channel, shared } = this
    this.#project = project
    const onOpen = (): void => this.settleLoop()
    this.#runner = new Runner({ channel, shared, lane: this.#lane, project, onEnded: this.#onEnded, onOpen })
    return project
  }

  /** What keeps the loop going now is not what invocations leave behind. */
  settleLoop(): void {
    this.#leftovers.settle()
  }

  /** What keeps the loop going that invocations may have left behind. */
  left(): string[] {
    return [...this.#leftovers.find(), ...(this.#openCalls > 0 ? ['calls'] : [])]
  }

  /** Whether there is a lifespan to leave. */
  get isEntered(): boolean {
    return this.#runner?.lifespan.isEntered ?? false
  }

  /** Whether nothing goes on that may need what the lifespan holds. `own` are what the worker itself has running. */
  mayLeave(own: readonly string[] = []): boolean {
    return mayBeHeld(this.#leftovers.find(own)) && this.#openCalls === 0
  }

  get #openCalls(): number {
    return this.#runner?.calls.open ?? 0
  }

  /** Leave the project's lifespan, if it was entered. */
  async leave(): Promise<void> {
    await this.#runner?.lifespan.leave()
  }

  /** Do what a message of the server says. */
  take(post: Post): void {
    const { header } = post
    switch (header.t) {
      case 'result':
        this.#runner?.calls.settle(post)
        break
      case 'invoke':
        this.#runner?.invoke(post)
        break
      case 'cancel':
        this.#runner?.cancel(header['id'] as number)
        break
      case 'streams':
        this.#runner?.know(header['names'] as string[])
        break
      case 'ping':
        // After whatever is ready to run: an answer says that the loop has turned.
        setImmediate(() => this.channel.send({ t: 'pong', n: header['n'] }))
        break
    }
  }

  /** Keep the other threads informed of who holds this loop. */
  showHolder(): void {
    createHook({
      before: () => this.shared.hold(current.getStore()?.post.slot ?? -1),
      after: () => this.shared.hold(-1),
    }).enable()
  }

  #sayUncaught(what: string, error: unknown): void {
    const fields = { traceback: tracebackOf(error, this.#project?.root ?? '') }
    sendLog(this.channel, 'error', `${what}: ${describe(error)}`, fields, current.getStore())
  }
}

/** Thrown in place of `process.exit` where that would take other invocations down. */
export class ProcessExit extends Error {
  constructor(status: unknown) {
    super(`process.exit(${status === undefined ? '' : String(status)}) was called.`)
    this.name = 'ProcessExit'
  }
}

/** Let no file and no handler take the other invocations of the process down. */
function refuseExit(): void {
  process.exit = (status?: number | string | null): never => {
    throw new ProcessExit(status)
  }
}
