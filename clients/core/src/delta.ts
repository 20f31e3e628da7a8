/** Operations on JSON values (WIRE.md section 5), and the sharing of what two values have in common. Pure. */

import type { Json, Operation } from './types.ts'

/** A frame has been lost: the subscription must be asked for again. */
export class Lost extends Error {}

/**
 * The value after the operations. What changes is copied on the way, what does not stays the same object.
 * @throws {Lost} an operation does not fit
 */
export function applyOperations(value: unknown, operations: readonly Operation[]): unknown {
  for (const operation of operations) value = apply(value, operation, 0)
  return value
}

function apply(value: any, operation: Operation, depth: number): unknown {
  const [kind, path, given] = operation
  if (depth === path.length) return kind === 's' ? given : append(kind, value, given)
  const key = path[depth]!
  const list = Array.isArray(value)
  const last = depth === path.length - 1
  if (!value || typeof value !== 'object' || list !== (typeof key === 'number')) throw new Lost()
  // A member may be set that was not there; everything else needs what it changes.
  if (!Object.hasOwn(value, key) && (list || !last || kind !== 's')) throw new Lost()
  const copy: any = list ? value.slice() : { ...value }
  if (kind !== 'r' || !last) put(copy, key, apply(Object.hasOwn(value, key) ? value[key] : undefined, operation, depth + 1))
  else if (list) copy.splice(key, 1)
  else delete copy[key]
  return copy
}

function append(kind: string, value: unknown, tail: unknown): unknown {
  if (kind === 'a' && typeof value === 'string' && typeof tail === 'string') return value + tail
  if (kind === 'a' && Array.isArray(value) && Array.isArray(tail)) return [...value, ...tail]
  throw new Lost()
}

export function put(target: Json, key: string | number, value: unknown): void {
  // Assigning `__proto__` would change what the object is.
  if (key === '__proto__') Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  else target[key] = value
}

/** `fresh`, a value just parsed, with the parts that equal `old` replaced by those of `old`; `old` itself when all is equal. */
export function share(old: any, fresh: any): any {
  if (old === fresh || !old || !fresh || typeof old !== 'object' || typeof fresh !== 'object') return fresh
  if (Array.isArray(old) !== Array.isArray(fresh)) return fresh
  const keys = Object.keys(fresh)
  let same = keys.length === Object.keys(old).length
  for (const key of keys) {
    if (!Object.hasOwn(old, key)) same = false
    else if ((fresh[key] = share(old[key], fresh[key])) !== old[key]) same = false
  }
  return same ? old : fresh
}
