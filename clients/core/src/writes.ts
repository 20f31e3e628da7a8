/**
 * The writes of one client that the server has not answered, in the order in which they were made. Owns which of them
 * are said, and which are said again or refused when a connection is lost: what may have been done is said again with its
 * key, so it is done once. Pure: no I/O, no time.
 */

import { offline } from './refused.ts'
import type { Ended, Json } from './types.ts'

/**
 * Writes under way at once; the others wait here. The server takes those of a group in the order in which they are said.
 * But one that it is too busy for is said again after those behind it, so where there are many, or that has happened, the
 * next of a group waits for the answer to the one before.
 */
const UNDER_WAY = 16

/** How much may wait for an answer. */
export interface Limits {
  readonly writes: number
  readonly bytes: number
}
export const LIMITS: Limits = { writes: 1_000, bytes: 1_000_000 }

/** Told how a write has ended: the group's version, where the server tells one, or why it was refused. */
export type Written = (refusal?: Ended, version?: number) => void

interface Write {
  readonly message: Json
  readonly bytes: number
  /** Its group, for which its order counts. */
  readonly of: string
  /** It waits for a connection, however long. */
  readonly waits: boolean
  readonly written: Written
  /** The number of its question while it is under way, else 0. */
  ask: number
  /** It was said on a connection that was lost: nobody knows whether it was done. */
  doubtful: boolean
}

export class Writes {
  readonly #limits: Limits
  /** Says it, and answers under which number. */
  readonly #say: (message: Json) => number
  readonly #all = new Set<Write>()
  #bytes = 0
  #underWay = 0
  #goes = false
  #oneByOne = false

  constructor(limits: Limits, say: (message: Json) => number) {
    this.#limits = limits
    this.#say = say
  }

  /** One more; `waits` is about what is not said at once. */
  add(message: Json, bytes: number, waits: boolean, written: Written): void {
    const { writes, bytes: most } = this.#limits
    if (this.#all.size >= writes || this.#bytes + bytes > most) {
      const of = this.#all.size >= writes ? `${writes} writes` : `${most} bytes`
      return written({ code: 'QUEUE_FULL', message: `more than ${of} would wait for an answer of the server` })
    }
    this.#bytes += bytes
    this.#all.add({ message, bytes, of: JSON.stringify([message.stream, message.group]), waits, written, ask: 0, doubtful: false })
    this.#sayOn()
  }

  /** Say what waits: a connection is open, or what held it up is over. */
  go(): void {
    this.#goes = true
    this.#sayOn()
  }

  /** Say nothing for now; `busy`: the server was too busy. */
  hold(busy = false): void {
    this.#goes = false
    this.#oneByOne ||= busy
  }

  /** The connection is gone. What has no key cannot be said again. */
  disconnected(): void {
    this.#goes = false
    for (const write of this.#all) {
      if (!write.ask) continue
      this.#rest(write)
      write.doubtful = true
      if (!write.message.key) this.#end(write, offline('the connection ended before the server answered: it may have been done'))
    }
  }

  /** Nobody can be asked for now, which is why what does not wait was surely not done; `all`: nor will anybody be. */
  refuse(refusal: Ended, all = false): void {
    for (const write of this.#all) {
      if (all || !(write.ask || write.waits || write.doubtful)) this.#end(write, refusal)
    }
  }

  /** The server's answer to a question, which may be about none of these. `again` answers whether a refusal is not the end. */
  answered({ ask, v = 0 }: Json, refusal: Ended | undefined, again: (refusal: Ended, waits: boolean) => boolean): void {
    for (const write of this.#all) {
      if (write.ask !== ask) continue
      this.#rest(write)
      write.doubtful = false
      if (!refusal || !again(refusal, write.waits)) this.#end(write, refusal, v ?? undefined)
      break
    }
    this.#sayOn()
  }

  #sayOn(): void {
    this.#oneByOne &&= this.#all.size > 0
    const inTurn = this.#oneByOne || this.#all.size > UNDER_WAY
    const busy = new Set<string>()
    for (const write of this.#all) {
      if (!this.#goes || this.#underWay >= UNDER_WAY) return
      const isNext = !inTurn || !busy.has(write.of)
      busy.add(write.of)
      if (write.ask || !isNext) continue
      this.#underWay++
      write.ask = this.#say(write.message)
    }
  }

  #rest(write: Write): void {
    write.ask = 0
    this.#underWay--
  }

  #end(write: Write, refusal?: Ended, version?: number): void {
    if (write.ask) this.#rest(write)
    this.#bytes -= write.bytes
    this.#all.delete(write)
    write.written(refusal, version)
  }
}
