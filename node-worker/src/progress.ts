/**
 * `ctx.progress`: how far a loop has come, written into an item. Owns what is written and how often.
 *
 * Each write is one `update` of the item's field `progress`: the first before the first element, then at most four a
 * second, and the last in any case, whatever ends the loop. A `for await` waits for its writes; a plain `for` cannot,
 * nor see their answers while it does not give way: the more are unanswered, the longer it lets pass before the next.
 */

import type { Call, Calls } from './calls.ts'
import { HeadwaterError, invalidInput } from './errors.ts'
import { describe } from './faults.ts'
import type { Invocation } from './invocation.ts'
import { originOf, type Origin } from './items.ts'
import { SERVICE } from './streams.ts'
import { nameOf, toJson } from './values.ts'

/** Least milliseconds between the beginnings of two writes, but for the last. */
const WRITE_EVERY = 250

const FIELD = 'progress'

type Items<T> = Iterable<T> | AsyncIterable<T>

export interface ProgressParts {
  readonly calls: Calls
  readonly invocation: Invocation
  /** Told of a write that failed on the way: no reason to end what goes on. */
  readonly tell: (message: string) => void
  /** Milliseconds, of a clock that never jumps. */
  readonly now?: () => number
}

export type MakeProgress = <T>(items: Items<T>, item: unknown, options?: { readonly total?: number }) => Loop<T>

/** Makes `ctx.progress(items, item)`: the same elements, for `for await` and for `for`. */
export function makeProgress(parts: ProgressParts): MakeProgress {
  const progress = <T>(items: Items<T>, item: unknown, options?: { readonly total?: number }): Loop<T> => {
    const place = typeof item === 'object' && item !== null ? originOf(item) : undefined
    if (place === undefined) throw invalidInput(`ctx.progress writes into an item that a stream gave, not a ${nameOf(item)}.`)
    if (!isIterable(items)) throw invalidInput(`ctx.progress cannot iterate over a ${nameOf(items)}.`)
    return new Loop(items, () => new Tally(parts, place, options?.total ?? lengthOf(items), progress))
  }
  return progress
}

/** What is iterated over; each iteration counts from 0. */
export class Loop<T> implements Iterable<T>, AsyncIterable<T> {
  readonly #items: Items<T>
  readonly #tally: () => Tally

  constructor(items: Items<T>, tally: () => Tally) {
    this.#items = items
    this.#tally = tally
  }

  *[Symbol.iterator](): Generator<T> {
    const items = this.#items
    if (!(Symbol.iterator in Object(items))) throw invalidInput('These elements come asynchronously: write `for await`.')
    const tally = this.#tally()
    try {
      tally.begin()
      for (const element of items as Iterable<T>) {
        tally.stop()
        yield element
        tally.count()
      }
      tally.end()
    } finally {
      // A loop that is left, by an error too, ends this generator here.
      tally.leave()
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    const tally = this.#tally()
    try {
      await tally.first()
      for await (const element of this.#items) {
        tally.stop()
        yield element
        await tally.settle(tally.count())
      }
      await tally.settle(tally.end())
    } finally {
      tally.leave()
    }
  }
}

/** One loop: how many of how many are done since when, and the write under way. */
class Tally {
  readonly #parts: ProgressParts
  readonly #place: Origin
  readonly #now: () => number
  readonly #below: Function
  readonly #begun: number
  #total: number | undefined
  #done = 0
  #written: number
  /** Writes that are not answered, as far as can be seen. */
  #open = 0
  #isOpen = false

  constructor(parts: ProgressParts, place: Origin, total: number | undefined, below: Function) {
    this.#parts = parts
    this.#place = place
    this.#total = total
    this.#below = below
    this.#now = parts.now ?? (() => performance.now())
    this.#begun = this.#written = this.#now()
  }

  begin(): Call {
    this.#isOpen = true
    return this.#write()
  }

  /** The first write; one that is refused ends the loop before it begins, for there is nothing to write into. */
  async first(): Promise<void> {
    try {
      await this.begin()
    } catch (error) {
      this.#isOpen = false
      throw error
    }
  }

  /** One more is done; gives a write that was due, if one was. Throws as `stop` does. */
  count(): Call | undefined {
    this.#done++
    this.stop()
    const isDue = this.#now() - this.#written >= WRITE_EVERY * (1 + this.#open)
    return isDue ? this.#write() : undefined
  }

  /** End the loop of an invocation that is to end. */
  stop(): void {
    this.#parts.invocation.signal.throwIfAborted()
  }

  /** All are done; the last write. */
  end(): Call {
    this.#total = this.#done
    this.#isOpen = false
    return this.#write()
  }

  /** The loop is left before its end: what is known is written. */
  leave(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#write()
  }

  /** Wait for a write. Throws where it is not this attempt's to write any more. */
  async settle(call: Call | undefined): Promise<void> {
    try {
      await call
    } catch (error) {
      if (error instanceof HeadwaterError && error.code === 'RUN_LOST') throw error
      this.#parts.tell(`Progress was not written: ${describe(error)}`)
    }
  }

  #write(): Call {
    const { calls, invocation } = this.#parts
    const { stream, group, id } = this.#place
    this.#written = this.#now()
    const text = toJson([{ type: 'set', path: FIELD, value: this.#state() }], 'progress')
    const call = calls.begin(invocation, SERVICE, 'update', { stream, group, item: id }, this.#below, () => text)
    this.#open++
    const settled = (): void => void this.#open--
    // Not the call's own `then`: nobody has looked at its error by that.
    Promise.prototype.then.call(call, settled, settled)
    return call
  }

  #state(): object {
    const done = this.#done
    const total = this.#total ?? null
    const seconds = (this.#written - this.#begun) / 1000
    const rate = done > 0 && seconds > 0 ? done / seconds : null
    return {
      done,
      total,
      percent: total === null ? null : total === 0 ? 100 : round(Math.min(100, (100 * done) / total)),
      rate: rate === null ? null : Number(rate.toPrecision(3)),
      eta: rate === null || total === null ? null : round(Math.max(0, total - done) / rate),
    }
  }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function isIterable(value: unknown): boolean {
  return Symbol.iterator in Object(value) || Symbol.asyncIterator in Object(value)
}

function lengthOf(items: object): number | undefined {
  const { length, size } = items as { readonly length?: unknown; readonly size?: unknown }
  if (typeof length === 'number') return length
  return typeof size === 'number' ? size : undefined
}
