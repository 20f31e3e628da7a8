/**
 * Changes shown before the server has made them. Owns when each gives way to the server's state: at once when it was
 * refused, else as soon as the state has reached the version that holds it. Pure.
 */

import type { Item } from './types.ts'

/** What an item would be; `undefined` in: there is none; out: it is deleted. */
export type Change<T> = (item: T | undefined) => T | undefined

export interface Overlay {
  readonly id: string
  readonly change: Change<any>
  /** The item's version when it was made. */
  readonly made: number
  /** The group's version from which the server's state holds it, once known; 0: when the item has changed. */
  until: number | undefined
}

/** Whether the state has caught up with what an overlay shows. */
export function reached(overlay: Overlay, version: number, itemVersion: number): boolean {
  return overlay.until !== undefined && (overlay.until ? version >= overlay.until : itemVersion !== overlay.made)
}

/** The items with the overlays over them; what they create goes last. */
export function overlaid(items: readonly Item[], overlays: readonly Overlay[]): readonly Item[] {
  const shown = new Map(items.map((item) => [item.id, item]))
  for (const { id, change } of overlays) {
    const item = change(shown.get(id))
    if (item) shown.set(id, { ...item, id })
    else shown.delete(id)
  }
  return [...shown.values()]
}
