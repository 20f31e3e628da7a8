/**
 * Writing to the server from any thread. Owns the lock, whole frames and back pressure; reading is the reader
 * thread's. A frame is on the socket when `send` returns; while the server does not read, `send` waits.
 */

import { writeSync } from 'node:fs'

import { encode, type Header } from './frames.ts'
import type { Shared } from './shared.ts'

/** Milliseconds between two tries on a full socket: the first, and the longest. */
const FIRST_NAP = 0.05
const LONGEST_NAP = 2

export interface ChannelParts {
  readonly fd: number
  readonly limit: number
  readonly shared: Shared
  /** Whether the thread is the main one: the watchdog is told how long it writes. */
  readonly isMain?: boolean
}

export class Channel {
  readonly limit: number
  readonly #fd: number
  readonly #shared: Shared
  readonly #isMain: boolean
  #isTiming = false

  constructor(parts: ChannelParts) {
    this.limit = parts.limit
    this.#fd = parts.fd
    this.#shared = parts.shared
    this.#isMain = parts.isMain ?? false
  }

  /** Write a message. Throws `HeadwaterError` TOO_LARGE before anything is written. */
  send(header: Header, sections: readonly Uint8Array[] = []): void {
    this.timed(() => this.#write(encode(header, sections, this.limit)))
  }

  /** Do work that is the worker's own and not user code's: its time holds nobody's loop. */
  timed(work: () => void): void {
    if (!this.#isMain || this.#isTiming) {
      work()
      return
    }
    const begun = performance.now()
    this.#isTiming = true
    this.#shared.beginSend()
    try {
      work()
    } finally {
      this.#isTiming = false
      this.#shared.endSend(Math.round((performance.now() - begun) * 1000))
    }
  }

  #write(buffers: readonly Buffer[]): void {
    this.#shared.lock()
    try {
      for (const buffer of buffers) this.#writeAll(buffer)
    } finally {
      this.#shared.unlock()
    }
  }

  /** Write a message without ever waiting; false if another thread is writing or the socket is full. */
  trySend(header: Header): boolean {
    if (!this.#shared.tryLock()) return false
    try {
      const [buffer] = encode(header, [], this.limit)
      const written = this.#tryWrite(buffer as Buffer)
      if (written === 0) return false
      this.#writeAll((buffer as Buffer).subarray(written))
      return true
    } finally {
      this.#shared.unlock()
    }
  }

  #writeAll(buffer: Buffer): void {
    let nap = FIRST_NAP
    while (buffer.length > 0) {
      const written = this.#tryWrite(buffer)
      if (written === 0) {
        this.#shared.nap(nap)
        nap = Math.min(nap * 2, LONGEST_NAP)
      } else {
        buffer = buffer.subarray(written)
        nap = FIRST_NAP
      }
    }
  }

  #tryWrite(buffer: Buffer): number {
    try {
      return writeSync(this.#fd, buffer)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
      desert()
    }
  }
}

/** The server is gone, and nobody else ends what user code has started from here: end that too. A worker that the
 * server has started leads its group of processes. */
export function desert(): never {
  try {
    process.kill(-process.pid, 'SIGKILL')
  } catch {
    // It leads no group.
  }
  die()
}

/** End the process now, from any thread, whatever user code is doing. */
export function die(): never {
  process.kill(process.pid, 'SIGKILL')
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
