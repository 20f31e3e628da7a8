/** zod 4 -> JSON Schema, by zod's own converter, seen from the side of what is sent in. */

import { toJSONSchema } from 'zod/v4/core'

import type { JsonObject } from './config.ts'

/** Hears where (a path from the schema's root) and what cannot be converted. */
export type Tell = (where: string, what: string) => void

interface Zod4 {
  readonly _zod: { readonly def: { readonly type: string; readonly coerce?: boolean } }
}

/** Types that JSON values cannot have; the converter leaves `{}` for them. */
const UNREPRESENTABLE: ReadonlySet<string> = new Set([
  'bigint', 'custom', 'date', 'file', 'function', 'map', 'nan', 'promise', 'set', 'symbol', 'transform',
  'undefined', 'void',
])

export function isZod4(value: object): value is Zod4 {
  const inner = (value as { _zod?: { def?: unknown } })._zod
  return typeof inner === 'object' && inner !== null && typeof inner.def === 'object'
}

/** Unknown members pass unless the object is strict; what is optional on input is not required. */
export function zod4ToJsonSchema(schema: Zod4, tell: Tell): JsonObject {
  const options = {
    io: 'input' as const,
    target: 'draft-2020-12' as const,
    unrepresentable: 'any' as const,
    override: ({ zodSchema, jsonSchema, path }: Override): void => {
      const { type, coerce } = zodSchema._zod.def
      // What is coerced may be sent as anything.
      if (coerce === true) empty(jsonSchema)
      if (UNREPRESENTABLE.has(type)) tell(whereOf(path), `z.${type}()`)
    },
  }
  const { $schema: _, '~standard': __, ...plain } = toJSONSchema(schema as never, options as never) as JsonObject
  return plain
}

interface Override {
  readonly zodSchema: Zod4
  readonly jsonSchema: JsonObject
  readonly path: readonly (string | number)[]
}

function empty(jsonSchema: JsonObject): void {
  for (const key of Object.keys(jsonSchema)) if (key !== 'description' && key !== 'default') delete jsonSchema[key]
}

function whereOf(path: readonly (string | number)[]): string {
  return path.map((part) => `.${part}`).join('')
}
