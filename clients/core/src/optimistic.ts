/**
 * Changes shown before the server has made them. Owns how they and the server's state meet: what the server says of an
 * item while a write of it is under way is kept beside what is shown, until it is known which of it holds the change.
 * So none is shown over a state that has it already. Pure: the time is given.
 */

import { same } from './numbers.ts'
import type { Wanted } from './store.ts'
import { type Item, told } from './types.ts'

/** What an item would be; `undefined` in: there is none; out: it is deleted. */
export type Change<T> = (item: T | undefined) => T | undefined

/** How long the server's word waits for the answer to a write, or an answer without a version for the server's word. */
export const HOLD_MS = 300
/** How long a change that the server has accepted may be shown without the state showing it. */
export const SETTLE_MS = 10_000

export interface Overlay {
  readonly change: Change<any>
  /** The item's version when it was made, and the time. */
  readonly made: number
  readonly at: number
  /** Its write is this client's own, whose answer comes, however late, and tells the version. */
  readonly own: boolean
  /** When the write was answered. */
  settled?: number
  /** The group's version from which the server's state holds it, where the answer has told it. */
  until?: number | undefined
}

/** What the server has said of an item, and when; `undefined`: there is none. */
type Said = readonly [version: number, item: Item | undefined, at: number]

/** What a change gets: it may change it in place and harms nothing that is shared. */
const copied = (item: Item | undefined): Item | undefined => item && structuredClone(item)

/** The changes of one item that are under way. */
export class Stack {
  readonly id: string
  /** The group's version when the first was made. */
  readonly begun: number
  readonly overlays: Overlay[] = []
  /** When another item came that may be the one that this one shows: the server may make ids of its own. */
  came: number | undefined
  /** What the changes lie over, and what the server has said since. */
  #base: Said
  #last: Item | undefined
  readonly #later: Said[] = []

  constructor(id: string, begun: number, version = 0, item?: Item) {
    this.id = id
    this.begun = begun
    this.#base = [version, item, 0]
  }

  /** Whether it shows an item that the server does not have, or has under an id of its own. */
  get creates(): boolean {
    return !this.#base[1] && !this.#later.length && !this.overlays.every(({ own }) => own)
  }

  /** Another change, on top. @throws what it throws on what is shown now */
  add(change: Change<any>, at: number, own: boolean): Overlay {
    change(copied(this.shown()))
    const overlay = { change, made: this.#latest[0], at, own }
    this.overlays.push(overlay)
    return overlay
  }

  drop(overlay: Overlay): void {
    const at = this.overlays.indexOf(overlay)
    if (at >= 0) this.overlays.splice(at, 1)
  }

  /** The server's word about the item. */
  note(version: number, item: Item | undefined, now: number): void {
    const [known, held] = this.#latest
    if (item ? version !== known : held) this.#later.push([version, item, now])
  }

  /** What is shown: the same object until it is different. A change that fails on what has become of the item ends, and that alone. */
  shown(): Item | undefined {
    let [, item] = this.#base
    for (const overlay of [...this.overlays]) {
      try {
        const made: Item | undefined = overlay.change(copied(item))
        item = made && { ...made, id: this.id }
      } catch (fault) {
        console.warn(`headwater: a change of ${this.id} has ended: ${told(fault)}`)
        this.drop(overlay)
      }
    }
    if (!this.overlays.length) return this.#latest[1]
    return (this.#last = same(this.#last, item) ? this.#last : item)
  }

  /** Let go of changes that the state holds, the first first, at a version of the group; answers when to look again. */
  settle(version: number, now: number): number {
    while (this.overlays[0]) {
      const due = this.#due(this.overlays[0], version, now)
      if (due > now) return due
    }
    return Infinity
  }

  get #latest(): Said {
    return this.#later.at(-1) ?? this.#base
  }

  /**
   * When the first change is to go; it is gone where that is now.
   * - The answer told its version, which the state has not reached: what was said so far does not hold it.
   * - It has: with the word that holds it. Changes that came in one word go as one, once their answers are here too.
   * - Nobody told a version: all that were made before the server's last word go with it, once no other can be under
   *   way. The answer to a write of this client is always waited for.
   */
  #due({ until, made, settled = Infinity }: Overlay, version: number, now: number): number {
    if (until !== undefined && version < until) {
      this.#take(this.#later.length)
      return this.#over(settled + SETTLE_MS, 0, now)
    }
    if (until !== undefined) {
      const at = this.#later.findIndex(([one]) => one >= until)
      const word = this.#later[at]
      const next = word && this.overlays.find((one) => !(one.until! <= word[0]))
      const merged = word && word[0] > until && !!next && next.settled === undefined && next.at <= word[2]
      return this.#over(!merged ? now : next.own ? Infinity : word[2] + HOLD_MS, at < 0 ? this.#later.length : at + 1, now)
    }
    if (this.overlays.some((one) => one.own && one.settled === undefined)) return Infinity
    const [first] = this.#later
    if (!first) {
      const came = this.creates ? this.came : this.#base[0] > made ? 0 : undefined
      return this.#over(settled + (came === undefined ? SETTLE_MS : HOLD_MS), 0, now)
    }
    const last = this.#latest
    const waiting = this.overlays.find((one) => one.settled === undefined)
    const answered = Math.max(...this.overlays.map((one) => one.settled ?? 0))
    const since = waiting ? Math.max(waiting.at, first[2]) : Math.max(answered, last[2])
    const due = this.overlays.length === 1 && last[2] >= settled ? now : since + HOLD_MS
    if (due > now) return due
    this.overlays.splice(0, Infinity, ...this.overlays.filter((one) => one.made >= last[0] || one.until! > last[0]))
    this.#take(this.#later.length)
    return now
  }

  #over(due: number, words: number, now: number): number {
    if (due > now) return due
    this.overlays.shift()
    this.#take(words)
    while (this.overlays[0] && this.overlays[0].until! <= this.#base[0]) this.overlays.shift()
    return due
  }

  /** So many words of the server are what the other changes lie over. */
  #take(words: number): void {
    if (words) this.#base = this.#later.splice(0, words).at(-1)!
  }
}

/** Whether an item is what is shown under another id: it holds all that this shows. */
export const isTwin = (item: Item, shown: Item | undefined): boolean =>
  !!shown && Object.entries(shown).every(([key, value]) => key === 'id' || same(item[key as 'id'], value))

/**
 * The version of a group that an answer tells, above the one `after` which it must be: its own number, or the newest of
 * the group's items in a response (`x-headwater-items`: STREAM/GROUP/ID@VERSION, ...).
 */
export function versionIn(answer: any, { stream, group }: Wanted, after: number): number | undefined {
  if (typeof answer === 'number') return answer
  let newest = after
  for (const one of `${answer?.headers?.get?.('x-headwater-items') ?? ''}`.split(', ')) {
    const [of, within] = one.split('/').map(decodeURIComponent)
    if (of === stream && within === group) newest = Math.max(newest, Number(one.slice(one.lastIndexOf('@') + 1)))
  }
  return newest > after ? newest : undefined
}
