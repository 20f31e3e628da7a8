/** A file's `config` -> plain JSON values. Owns where schemas are found and converted; judges no config. */

import { kindOf } from '../values.ts'
import { isZod3, zod3ToJsonSchema } from './zod3.ts'
import { isZod4, zod4ToJsonSchema } from './zod4.ts'

const MAX_DEPTH = 100

/** What is wrong with a config; `code` is one of the protocol's. */
export class ConfigFault extends Error {
  readonly code: 'CONFIG_NOT_JSON' | 'SCHEMA_NOT_CONVERTIBLE'

  constructor(code: 'CONFIG_NOT_JSON' | 'SCHEMA_NOT_CONVERTIBLE', message: string) {
    super(message)
    this.code = code
  }
}

export type JsonObject = Record<string, unknown>

/** Hears of a part of a schema that JSON Schema cannot say and that became `{}`. */
export type Warn = (message: string) => void

/** The config with every schema in it as JSON Schema. Throws `ConfigFault`, naming the path. */
export function plainConfig(config: object, warn: Warn): JsonObject {
  return convert(config, 'config', 0, warn) as JsonObject
}

function convert(value: unknown, path: string, depth: number, warn: Warn): unknown {
  if (depth > MAX_DEPTH) throw notJson(`${path.slice(0, 120)} is nested more than ${MAX_DEPTH} deep, or holds itself.`)
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'object':
      return value === null ? null : convertObject(value, path, depth, warn)
    default:
      throw notJson(`${path} is ${kindOf(value)}, which has no JSON form.`)
  }
}

function convertObject(value: object, path: string, depth: number, warn: Warn): unknown {
  const schema = schemaOf(value, path, warn)
  if (schema !== undefined) return schema
  if (Array.isArray(value)) return value.map((one, index) => convert(one ?? null, `${path}[${index}]`, depth + 1, warn))
  const toJSON = (value as { toJSON?: () => unknown }).toJSON
  if (typeof toJSON === 'function') return convert(toJSON.call(value), path, depth + 1, warn)
  if (!isRecord(value)) throw notJson(`${path} is ${kindOf(value)}, which has no JSON form.`)
  const members = Object.entries(value).filter(([, one]) => one !== undefined)
  return Object.fromEntries(members.map(([key, one]) => [key, convert(one, `${path}.${key}`, depth + 1, warn)]))
}

function isRecord(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** The JSON Schema of a schema object of a library that is known; undefined for anything else. */
function schemaOf(value: object, path: string, warn: Warn): JsonObject | undefined {
  const tell = (where: string, what: string): void =>
    warn(`${path}${where}: ${what} has no JSON Schema, so anything passes there.`)
  try {
    if (isZod4(value)) return zod4ToJsonSchema(value, tell)
    if (isZod3(value)) return zod3ToJsonSchema(value, tell)
    const other = (value as { toJsonSchema?: () => JsonObject }).toJsonSchema
    return typeof other === 'function' ? other.call(value) : undefined
  } catch (error) {
    throw new ConfigFault('SCHEMA_NOT_CONVERTIBLE', `${path} gives no JSON Schema: ${String(error)}`)
  }
}

function notJson(message: string): ConfigFault {
  return new ConfigFault('CONFIG_NOT_JSON', message)
}
