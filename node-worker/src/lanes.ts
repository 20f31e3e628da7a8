/**
 * Threads for code that blocks: each has a loop and module instances of its own and runs one invocation at a
 * time. Owns how many there are and what waits for one; lives in the reader thread, so that it works while the
 * main thread blocks.
 */

import { Worker } from 'node:worker_threads'

import { die } from './channel.ts'
import type { ErrorMembers } from './errors.ts'
import { LANES, type FromLane, type LaneParts, type Packed, type ThreadParts, type ToLoop } from './posts.ts'
import type { Shared } from './shared.ts'

/** How long a lane waits for work before it ends, in milliseconds. */
const IDLE_AFTER = 60_000

/** Milliseconds between tries to find nobody writing, and for how long at most nobody may write. */
const RETRY_AFTER = 2
const LONGEST_SILENCE = 50

interface Lane {
  readonly number: number
  readonly thread: Worker
  /** What it was given last, and where that is; -1 while it is idle. */
  post: Packed | undefined
  slot: number
  rest: NodeJS.Timeout | undefined
  /** It has been told to end if nothing needs it, and has run nothing since. */
  resting: boolean
  /** It is ended by force and is given no more work; its number is taken until the thread is gone. */
  ending: boolean
  /** Runs out when what was cancelled has gone on for too long. */
  patience: NodeJS.Timeout | undefined
  /** Why the thread is ended by force, if it is. */
  ended: ErrorMembers | undefined
  /** Told that it has left its lifespan, or that the thread is gone. */
  onLeft: () => void
  /** Let the others write again; does nothing the second time. */
  release: () => void
}

export class Lanes {
  /** The sources, once they are loaded; lanes import from them what they run. */
  load: Packed | undefined
  streams: readonly string[] | null = null
  readonly #parts: ThreadParts
  readonly #shared: Shared
  readonly #onLost: (slot: number, error: ErrorMembers) => void
  readonly #idleAfter: number
  readonly #lanes = new Map<number, Lane>()
  #waiting: Packed[] = []

  /** `onLost` hears of an invocation whose thread has ended. */
  constructor(
    parts: ThreadParts,
    shared: Shared,
    onLost: (slot: number, error: ErrorMembers) => void,
    idleAfter = IDLE_AFTER,
  ) {
    this.#parts = parts
    this.#shared = shared
    this.#onLost = onLost
    this.#idleAfter = idleAfter
  }

  /** Run an invocation in a lane, as soon as one is free. */
  give(post: Packed): void {
    const lane = this.#idleLane() ?? this.#newLane()
    if (lane === undefined) this.#waiting.push(post)
    else this.#run(lane, post)
  }

  /** An invocation has been taken back; true if it waited here, so that no thread will ever look at it. */
  forget(slot: number): boolean {
    const before = this.#waiting.length
    this.#waiting = this.#waiting.filter((post) => post[0] !== slot)
    return this.#waiting.length < before
  }

  /** Pass a cancel on to the lane that runs the slot, which has `patience` seconds to end; false if none does. */
  cancel(slot: number, post: Packed, patience?: number): boolean {
    const lane = [...this.#lanes.values()].find((one) => one.slot === slot)
    if (lane === undefined) return false
    send(lane, post)
    if (patience !== undefined) {
      clearTimeout(lane.patience)
      lane.patience = setTimeout(() => this.#endNow(lane, patience), patience * 1000)
    }
    return true
  }

  tell(number: number, post: Packed): void {
    const lane = this.#lanes.get(number)
    if (lane !== undefined) send(lane, post)
  }

  tellAll(post: Packed): void {
    for (const lane of this.#lanes.values()) send(lane, post)
  }

  /** Let every lane end once nothing that user code left running needs it; for when all are idle. */
  rest(): void {
    for (const lane of this.#lanes.values()) if (!lane.resting) this.#end(lane)
  }

  /** Let every lane leave its lifespan; for when all are idle. */
  async leave(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => new Promise<void>((left) => {
      lane.onLeft = left
      lane.thread.postMessage({ kind: 'leave' } satisfies ToLoop)
    })))
  }

  get count(): number {
    return this.#lanes.size
  }

  #idleLane(): Lane | undefined {
    return [...this.#lanes.values()].find((lane) => lane.slot < 0 && !lane.ending)
  }

  #newLane(): Lane | undefined {
    const number = firstFree(this.#lanes)
    if (number === undefined || this.load === undefined) return undefined
    const { fd, limit, memory } = this.#parts
    const workerData: LaneParts = { fd, limit, memory, lane: number, load: this.load, streams: this.streams }
    const thread = new Worker(new URL('./lane.mjs', import.meta.url), { workerData })
    const lane: Lane = {
      number, thread, post: undefined, slot: -1, rest: undefined, resting: false, ending: false,
      patience: undefined, ended: undefined, onLeft: () => undefined, release: () => undefined,
    }
    this.#lanes.set(number, lane)
    thread.on('message', (message: FromLane) => this.#done(lane, message))
    thread.on('error', (error) => this.#lost(lane, `The thread ended: ${String(error)}`))
    thread.on('exit', () => this.#lost(lane, 'The thread ended.'))
    return lane
  }

  #run(lane: Lane, post: Packed): void {
    clearTimeout(lane.rest)
    lane.post = post
    lane.slot = post[0]
    send(lane, post)
  }

  #done(lane: Lane, message: FromLane): void {
    if (message.kind === 'left') {
      lane.onLeft()
      return
    }
    clearTimeout(lane.patience)
    lane.slot = -1
    lane.resting = false
    if (lane.ending) return
    const next = this.#waiting.shift()
    if (next !== undefined) this.#run(lane, next)
    else lane.rest = setTimeout(() => this.#end(lane), this.#idleAfter).unref()
  }

  /** The thread ends once nothing that user code left running needs it. */
  #end(lane: Lane): void {
    lane.resting = true
    lane.thread.postMessage({ kind: 'end', status: 0 } satisfies ToLoop)
  }

  /** End the thread whatever it does, except write: while it ends nobody does. */
  #endNow(lane: Lane, patience: number): void {
    if (!this.#shared.tryLock()) {
      lane.patience = setTimeout(() => this.#endNow(lane, patience), RETRY_AFTER)
      return
    }
    lane.ending = true
    const message = `It went on for ${patience} s after it was cancelled, so its thread was ended.`
    lane.ended = { code: 'HANDLER_FAILED', message, cancelled: true }
    lane.release = once(() => this.#shared.unlock())
    // Code that is not JavaScript (a child process that is waited for) ends later, and returns to none that writes.
    setTimeout(lane.release, LONGEST_SILENCE)
    void lane.thread.terminate()
  }

  #lost(lane: Lane, message: string): void {
    if (this.#lanes.get(lane.number) !== lane) return
    this.#lanes.delete(lane.number)
    clearTimeout(lane.patience)
    lane.release()
    lane.onLeft()
    // It was writing: the rest of its frame will never come.
    if (this.#shared.isLockedBy(lane.number)) die()
    if (lane.slot >= 0) this.#lostWork(lane, message)
    const next = this.#waiting.shift()
    if (next !== undefined) this.give(next)
  }

  #lostWork({ slot, post, resting, ended }: Lane, message: string): void {
    // It ended in the moment in which it was given work: another one takes it.
    if (resting && post !== undefined && this.#shared.isWaiting(slot)) this.give(post)
    else if (this.#shared.isTakenBack(slot)) this.#shared.free(slot)
    else this.#onLost(slot, ended ?? { code: 'HANDLER_FAILED', message })
  }
}

function send(lane: Lane, post: Packed): void {
  lane.thread.postMessage(post satisfies ToLoop)
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) work()
    isDone = true
  }
}

function firstFree(lanes: ReadonlyMap<number, Lane>): number | undefined {
  for (let number = 1; number < LANES; number++) if (!lanes.has(number)) return number
  return undefined
}
