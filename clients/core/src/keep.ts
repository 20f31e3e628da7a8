/**
 * Keeps what subscriptions hold over a refresh of the page, in `sessionStorage` or the like. A storage that refuses,
 * is full, or holds something else costs nothing but the head start.
 */

import type { Held, State } from './state.ts'

const FORMAT = 1
/** Characters of all that is kept; browsers allow about five million for a whole site. */
const MOST_CHARS = 2_000_000

export type Keep = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>
type Kept = [room: string, epoch: string, version: number, floor: number, held: Held[]]

/** Takes what is kept under a name: by room, what it held. */
export function recall(keep: Keep, name: string): Map<string, Kept> {
  try {
    const [format, rooms] = JSON.parse(keep.getItem(name) ?? '[]') as [number, Kept[]]
    return new Map(format === FORMAT ? rooms.map((one) => [one[0], one]) : [])
  } catch {
    return new Map()
  }
}

export function restore(state: State, kept: Kept | undefined): State {
  if (kept) state.restore(kept[1], kept[2], kept[3], kept[4])
  return state
}

export function remember(keep: Keep, name: string, rooms: Iterable<[string, State]>): void {
  let room = MOST_CHARS
  const texts: string[] = []
  for (const [key, state] of rooms) {
    if (!state.whole || !state.epoch) continue
    let text: string
    try {
      text = JSON.stringify([key, state.epoch, state.version, state.floor, state.save()] satisfies Kept)
    } catch {
      continue // A bigint, which JSON would not bring back.
    }
    if ((room -= text.length) < 0) break
    texts.push(text)
  }
  try {
    keep.setItem(name, `[${FORMAT},[${texts}]]`)
  } catch {
    try {
      keep.removeItem(name)
    } catch {}
  }
}
