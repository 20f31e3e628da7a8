/**
 * Memory that all threads of the process share: the lock on writing, who holds the loop of user code, and the
 * state of every invocation. Owns the layout and each atomic step; knows no message.
 */

const LOCK = 0
const HOLDER = 1
const PROBE = 2
const NAP = 3
const SENDING = 4
const SENT = 5
const OWNER = 6
const FIRST_SLOT = 16

/** Most invocations that one process may hold at once, waiting and running together. */
export const MOST_SLOTS = 16_384

/** No invocation has the slot; one waits in it; its user code has begun; it was taken back. */
export const FREE = 0
const WAITING = 1
const STARTED = 2
const TAKEN_BACK = 3

const UNLOCKED = 0
const LOCKED = 1
const CONTENDED = 2

export class Shared {
  readonly buffer: SharedArrayBuffer
  readonly #cells: Int32Array
  readonly #thread: number

  /** `thread` tells this thread from the others: the number of its lane, or -1. */
  constructor(buffer = new SharedArrayBuffer(4 * (FIRST_SLOT + MOST_SLOTS)), thread = -1) {
    this.buffer = buffer
    this.#cells = new Int32Array(buffer)
    this.#thread = thread
  }

  // --- the lock on writing ---

  /** Wait for the lock. Whoever has it writes whole frames. */
  lock(): void {
    if (this.tryLock()) return
    while (Atomics.exchange(this.#cells, LOCK, CONTENDED) !== UNLOCKED) {
      Atomics.wait(this.#cells, LOCK, CONTENDED)
    }
    Atomics.store(this.#cells, OWNER, this.#thread)
  }

  tryLock(): boolean {
    if (Atomics.compareExchange(this.#cells, LOCK, UNLOCKED, LOCKED) !== UNLOCKED) return false
    Atomics.store(this.#cells, OWNER, this.#thread)
    return true
  }

  /** Whether that thread has the lock. */
  isLockedBy(thread: number): boolean {
    return Atomics.load(this.#cells, LOCK) !== UNLOCKED && Atomics.load(this.#cells, OWNER) === thread
  }

  unlock(): void {
    if (Atomics.exchange(this.#cells, LOCK, UNLOCKED) === CONTENDED) Atomics.notify(this.#cells, LOCK, 1)
  }

  /** Do nothing in this thread for some milliseconds. */
  nap(milliseconds: number): void {
    Atomics.wait(this.#cells, NAP, 0, milliseconds)
  }

  // --- who holds the loop ---

  /** The invocation in `slot` is at work on the loop; -1 says that none is. */
  hold(slot: number): void {
    Atomics.store(this.#cells, HOLDER, slot + 1)
  }

  /** The slot of the invocation at work, or -1. */
  holder(): number {
    return Atomics.load(this.#cells, HOLDER) - 1
  }

  /** The loop answers a probe. */
  answerProbe(probe: number): void {
    Atomics.store(this.#cells, PROBE, probe)
  }

  answeredProbe(): number {
    return Atomics.load(this.#cells, PROBE)
  }

  /** The main thread begins to write. */
  beginSend(): void {
    Atomics.store(this.#cells, SENDING, 1)
  }

  /** It has written, and that took so many microseconds. */
  endSend(microseconds: number): void {
    Atomics.add(this.#cells, SENT, microseconds)
    Atomics.store(this.#cells, SENDING, 0)
  }

  isSending(): boolean {
    return Atomics.load(this.#cells, SENDING) === 1
  }

  /** All microseconds that the main thread has spent writing, modulo 2 ** 32. */
  sent(): number {
    return Atomics.load(this.#cells, SENT)
  }

  // --- invocations ---

  isFree(slot: number): boolean {
    return Atomics.load(this.#cells, FIRST_SLOT + slot) === FREE
  }

  /** Put an invocation that waits into a free slot. */
  fill(slot: number): void {
    Atomics.store(this.#cells, FIRST_SLOT + slot, WAITING)
  }

  /** Begin an invocation; false if it was taken back, whereupon its slot is free. */
  start(slot: number): boolean {
    const was = Atomics.compareExchange(this.#cells, FIRST_SLOT + slot, WAITING, STARTED)
    if (was === TAKEN_BACK) this.free(slot)
    return was === WAITING
  }

  /** Take an invocation back that has not begun; false if it is too late. */
  takeBack(slot: number): boolean {
    return Atomics.compareExchange(this.#cells, FIRST_SLOT + slot, WAITING, TAKEN_BACK) === WAITING
  }

  isWaiting(slot: number): boolean {
    return Atomics.load(this.#cells, FIRST_SLOT + slot) === WAITING
  }

  isTakenBack(slot: number): boolean {
    return Atomics.load(this.#cells, FIRST_SLOT + slot) === TAKEN_BACK
  }

  isRunning(slot: number): boolean {
    return Atomics.load(this.#cells, FIRST_SLOT + slot) === STARTED
  }

  free(slot: number): void {
    Atomics.store(this.#cells, FIRST_SLOT + slot, FREE)
  }
}
