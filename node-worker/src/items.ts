/**
 * What streams give back: items. An item is a plain object of its data, `id` included, that can be changed and
 * set again; its version is beside the data, not in it. Owns where items remember what they came from.
 */

export type Data = Record<string, unknown>

export interface Origin {
  readonly stream: string
  readonly group: string
  readonly id: string
  readonly version: number
}

const origins = new WeakMap<object, Origin>()

/** Where an item came from; undefined for anything that is not an item (a copy is not). */
export function originOf(value: object): Origin | undefined {
  return origins.get(value)
}

/** Not enumerable, so that spreading, comparing and writing an item see its data alone. Assigning to it makes
 * it an ordinary member: a schema may well have a field of that name. */
const VERSION: PropertyDescriptor = {
  configurable: true,
  enumerable: false,
  get(this: object) {
    return origins.get(this)?.version
  },
  set(this: object, value: unknown) {
    Object.defineProperty(this, 'version', { configurable: true, enumerable: true, writable: true, value })
  },
}

export function makeItem(stream: string, group: string, data: Data, version: number): Data {
  if (!Object.hasOwn(data, 'version')) Object.defineProperty(data, 'version', VERSION)
  origins.set(data, { stream, group, id: String(data['id'] ?? ''), version })
  return data
}

/** The value of a call's result: an item, a list of items, or null. */
export function readValue(stream: string, group: string, value: unknown, versions: readonly number[]): unknown {
  if (Array.isArray(value)) {
    return value.map((data: Data, index) => makeItem(stream, group, data, versions[index] ?? 0))
  }
  if (typeof value !== 'object' || value === null) return value
  return makeItem(stream, group, value as Data, versions[0] ?? 0)
}
