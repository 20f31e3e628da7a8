/**
 * The operations of `update` as the server carries them out, so that a page can show what it will make of an item. Pure.
 * What the server would refuse fails here too, or ends as something that the server's state will replace.
 */

import { put } from './delta.ts'
import type { Item, Json, UpdateOperation } from './types.ts'

/** The item after all operations; where there is none, the one that they make. @throws {TypeError} one does not fit */
export function updated(item: Item | undefined, operations: readonly UpdateOperation[]): any {
  let value: unknown = item
  for (const operation of operations) value = changed(value, pathOf(operation), operation)
  return value
}

function pathOf({ path = '' }: UpdateOperation): readonly (string | number)[] {
  return typeof path !== 'string' ? path : path ? path.split('.') : []
}

/** A copy of `value` in which the operation is done at the path; what lies on the way is made as needed. */
function changed(value: any, [key, ...rest]: readonly (string | number)[], operation: UpdateOperation): any {
  if (key === undefined) return made(value, operation)
  const removes = operation.type === 'remove'
  if (value == null && removes) return value
  value ??= {}
  if (typeof value !== 'object' || (Array.isArray(value) && !Object.hasOwn(value, key))) throw new TypeError(`there is no ${key}`)
  const copy: any = Array.isArray(value) ? value.slice() : { ...value }
  if (rest.length || !removes) put(copy, key, changed(Object.hasOwn(value, key) ? value[key] : undefined, rest, operation))
  else if (Array.isArray(copy)) copy.splice(+key, 1)
  else delete copy[key]
  return copy
}

function made(now: any, operation: UpdateOperation): unknown {
  switch (operation.type) {
    case 'set':
      return operation.value
    case 'merge':
      return { ...now, ...operation.value }
    case 'append':
      return appended(now, operation.value)
    case 'increment':
    case 'decrement': {
      const { by = (operation as Json).value ?? 1 } = operation
      return (now ?? 0) + (operation.type === 'increment' ? by : -by)
    }
    case 'remove':
      return {}
  }
}

function appended(now: any, value: unknown): unknown {
  if (Array.isArray(now)) return [...now, value]
  return typeof value === 'string' ? (now ?? '') + value : [value]
}
