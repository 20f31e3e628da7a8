/**
 * zod 3 -> JSON Schema (draft 2020-12), seen from the side of what is sent in: unknown members pass unless the
 * object is strict, transforms count as what they take, coerced values may be anything. zod 3 brings no
 * converter of its own. Owns the table of its types.
 */

import type { JsonObject } from './config.ts'
import type { Tell } from './zod4.ts'

interface Zod3 {
  readonly _def: Definition
  readonly description?: string
  isOptional?(): boolean
}

interface Check {
  readonly kind: string
  readonly value?: unknown
  readonly regex?: RegExp
  readonly inclusive?: boolean
  readonly version?: string
  readonly position?: number
}

interface Definition {
  readonly typeName: string
  readonly coerce?: boolean
  readonly checks?: readonly Check[]
  readonly [member: string]: unknown
}

type Convert = (schema: Zod3, where: string) => JsonObject
type Converter = (definition: Definition, convert: Convert, where: string) => JsonObject

export function isZod3(value: object): value is Zod3 {
  const definition = (value as { _def?: { typeName?: unknown } })._def
  return typeof definition === 'object' && definition !== null && String(definition.typeName).startsWith('Zod')
}

/** The JSON Schema of a zod 3 schema; recursive ones refer to their definitions. */
export function zod3ToJsonSchema(schema: Zod3, tell: Tell): JsonObject {
  const conversion = new Conversion(tell)
  const root = conversion.convert(schema, '')
  const definitions = conversion.definitions()
  return definitions === undefined ? root : { ...root, $defs: definitions }
}

class Conversion {
  readonly #tell: Tell
  /** Schemas reached through `z.lazy`, which may hold themselves: each gets a name. */
  readonly #named = new Map<Zod3, { readonly name: string; schema: JsonObject | undefined }>()

  constructor(tell: Tell) {
    this.#tell = tell
  }

  readonly convert: Convert = (schema, where) => {
    const definition = schema._def
    const described = schema.description === undefined ? {} : { description: schema.description }
    if (definition.coerce === true) return described
    if (definition.typeName === 'ZodLazy') return { ...this.#lazy(definition, where), ...described }
    const converter = CONVERTERS[definition.typeName]
    if (converter === undefined) {
      this.#tell(where, `z.${definition.typeName.slice(3).toLowerCase()}()`)
      return described
    }
    return { ...converter(definition, this.convert, where), ...described }
  }

  #lazy(definition: Definition, where: string): JsonObject {
    const inner = (definition['getter'] as () => Zod3)()
    let named = this.#named.get(inner)
    if (named === undefined) {
      named = { name: `schema${this.#named.size + 1}`, schema: undefined }
      this.#named.set(inner, named)
      named.schema = this.convert(inner, where)
    }
    return { $ref: `#/$defs/${named.name}` }
  }

  definitions(): JsonObject | undefined {
    if (this.#named.size === 0) return undefined
    return Object.fromEntries([...this.#named.values()].map(({ name, schema }) => [name, schema ?? {}]))
  }
}

const inner =
  (member: string): Converter =>
  (definition, convert, where) =>
    convert(definition[member] as Zod3, where)

const CONVERTERS: Record<string, Converter> = {
  ZodString: (definition) => joined({ type: 'string' }, definition.checks, STRING_CHECKS),
  ZodNumber: (definition) => joined({ type: 'number' }, definition.checks, NUMBER_CHECKS),
  ZodBoolean: () => ({ type: 'boolean' }),
  ZodNull: () => ({ type: 'null' }),
  ZodAny: () => ({}),
  ZodUnknown: () => ({}),
  ZodNever: () => ({ not: {} }),
  ZodLiteral: (definition) => ({ const: definition['value'] }),
  ZodEnum: (definition) => ({ type: 'string', enum: definition['values'] }),
  ZodNativeEnum: (definition) => ({ enum: valuesOf(definition['values'] as Record<string, string | number>) }),
  ZodArray: convertArray,
  ZodObject: convertObject,
  ZodTuple: convertTuple,
  ZodRecord: convertRecord,
  ZodUnion: convertUnion,
  ZodDiscriminatedUnion: convertUnion,
  ZodIntersection: (definition, convert, where) => ({
    allOf: [convert(definition['left'] as Zod3, where), convert(definition['right'] as Zod3, where)],
  }),
  ZodNullable: (definition, convert, where) => ({
    anyOf: [convert(definition['innerType'] as Zod3, where), { type: 'null' }],
  }),
  ZodOptional: inner('innerType'),
  ZodDefault: (definition, convert, where) => ({
    ...convert(definition['innerType'] as Zod3, where),
    ...defaultOf(definition),
  }),
  ZodReadonly: inner('innerType'),
  ZodBranded: inner('type'),
  ZodPipeline: inner('in'),
  // Whatever does not fit is caught, so anything may be sent.
  ZodCatch: () => ({}),
  ZodEffects: (definition, convert, where) => {
    const { type } = definition['effect'] as { type: string }
    return type === 'preprocess' ? {} : convert(definition['schema'] as Zod3, where)
  },
}

function convertArray(definition: Definition, convert: Convert, where: string): JsonObject {
  const bound = (member: string): number | undefined => (definition[member] as { value: number } | null)?.value
  const exact = bound('exactLength')
  return withoutMissing({
    type: 'array',
    items: convert(definition['type'] as Zod3, `${where}[]`),
    minItems: exact ?? bound('minLength'),
    maxItems: exact ?? bound('maxLength'),
  })
}

function convertObject(definition: Definition, convert: Convert, where: string): JsonObject {
  const shape = (definition['shape'] as () => Record<string, Zod3>)()
  const names = Object.keys(shape)
  const required = names.filter((name) => !isOptional(shape[name] as Zod3))
  const rest = definition['catchall'] as Zod3
  const properties = names.map((name) => [name, convert(shape[name] as Zod3, `${where}.${name}`)])
  return withoutMissing({
    type: 'object',
    properties: Object.fromEntries(properties) as JsonObject,
    required: required.length > 0 ? required : undefined,
    additionalProperties: restOf(definition, rest, convert, where),
  })
}

function restOf(definition: Definition, rest: Zod3, convert: Convert, where: string): unknown {
  if (rest._def.typeName !== 'ZodNever') return convert(rest, `${where}.*`)
  return definition['unknownKeys'] === 'strict' ? false : undefined
}

function isOptional(schema: Zod3): boolean {
  try {
    return schema.isOptional?.() ?? false
  } catch {
    return false
  }
}

function convertTuple(definition: Definition, convert: Convert, where: string): JsonObject {
  const items = definition['items'] as Zod3[]
  const rest = definition['rest'] as Zod3 | null
  return withoutMissing({
    type: 'array',
    prefixItems: items.map((item, index) => convert(item, `${where}[${index}]`)),
    minItems: items.length,
    items: rest === null ? undefined : convert(rest, `${where}[]`),
    maxItems: rest === null ? items.length : undefined,
  })
}

function convertRecord(definition: Definition, convert: Convert, where: string): JsonObject {
  const names = convert(definition['keyType'] as Zod3, where)
  const { type: _, ...narrower } = names
  return {
    type: 'object',
    additionalProperties: convert(definition['valueType'] as Zod3, `${where}.*`),
    ...(Object.keys(narrower).length > 0 ? { propertyNames: names } : {}),
  }
}

function convertUnion(definition: Definition, convert: Convert, where: string): JsonObject {
  const options = definition['options'] as Iterable<Zod3> | Map<unknown, Zod3>
  const list = options instanceof Map ? [...options.values()] : [...options]
  return { anyOf: list.map((option) => convert(option, where)) }
}

function defaultOf(definition: Definition): JsonObject {
  try {
    const value = (definition['defaultValue'] as () => unknown)()
    const text = JSON.stringify(value) as string | undefined
    return text === undefined ? {} : { default: JSON.parse(text) as unknown }
  } catch {
    return {}
  }
}

/** The values of a TypeScript enum, whose numbers are also keys. */
function valuesOf(members: Record<string, string | number>): (string | number)[] {
  return Object.keys(members)
    .filter((name) => typeof members[members[name] as string] !== 'number')
    .map((name) => members[name] as string | number)
}

// --- checks ---

type Checks = Record<string, (check: Check) => JsonObject>

const STRING_CHECKS: Checks = {
  min: ({ value }) => ({ minLength: value }),
  max: ({ value }) => ({ maxLength: value }),
  length: ({ value }) => ({ minLength: value, maxLength: value }),
  email: () => ({ format: 'email' }),
  url: () => ({ format: 'uri' }),
  uuid: () => ({ format: 'uuid' }),
  datetime: () => ({ format: 'date-time' }),
  date: () => ({ format: 'date' }),
  time: () => ({ format: 'time' }),
  duration: () => ({ format: 'duration' }),
  ip: ({ version }) => (version === undefined ? {} : { format: `ip${version}` }),
  regex: ({ regex }) => (regex === undefined || regex.flags.replace('u', '') !== '' ? {} : { pattern: regex.source }),
  startsWith: ({ value }) => ({ pattern: `^${escaped(value)}` }),
  endsWith: ({ value }) => ({ pattern: `${escaped(value)}$` }),
  includes: ({ value, position }) => (position === undefined ? { pattern: escaped(value) } : {}),
  cuid: () => ({ pattern: '^[cC][^\\s-]{8,}$' }),
  cuid2: () => ({ pattern: '^[0-9a-z]+$' }),
  ulid: () => ({ pattern: '^[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$' }),
  nanoid: () => ({ pattern: '^[A-Za-z0-9_-]{21}$' }),
}

const NUMBER_CHECKS: Checks = {
  int: () => ({ type: 'integer' }),
  min: ({ value, inclusive }) => (inclusive === false ? { exclusiveMinimum: value } : { minimum: value }),
  max: ({ value, inclusive }) => (inclusive === false ? { exclusiveMaximum: value } : { maximum: value }),
  multipleOf: ({ value }) => ({ multipleOf: value }),
}

/** The base with what every known check adds; two checks that say the same word both count. */
function joined(base: JsonObject, checks: readonly Check[] | undefined, known: Checks): JsonObject {
  const also: JsonObject[] = []
  for (const check of checks ?? []) {
    const added = known[check.kind]?.(check) ?? {}
    const clashes = Object.keys(added).some((key) => key in base && key !== 'type')
    if (clashes) also.push(added)
    else Object.assign(base, added)
  }
  return also.length === 0 ? base : { ...base, allOf: also }
}

function escaped(value: unknown): string {
  return String(value).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
}

function withoutMissing(members: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
