/**
 * Modules that are not the project's: Node's own, and packages of the project. Owns how the two module systems of Node
 * look to project files, which may mix them freely.
 */

import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What an import sees: names, `default` among them. */
export type Namespace = Record<string, unknown>

/** Packages that come with the worker, for projects that have not installed them. */
const BUNDLED: Record<string, string> = { zod: './zod.cjs', 'zod/v4': './zod.cjs' }

/** Import from a package, as a file at `from` would. Rejects as Node does. */
export async function importExternal(specifier: string, from: string): Promise<Namespace> {
  return namespaceOf((await importNative(specifier, from)) as Namespace)
}

async function importNative(specifier: string, from: string): Promise<unknown> {
  const url = urlOf(specifier, pathToFileURL(from).href)
  return url.endsWith('.json') ? { default: requireFrom(from)(specifier) } : import(url)
}

function urlOf(specifier: string, place: string): string {
  if (specifier.startsWith('/')) return pathToFileURL(specifier).href
  try {
    const url = import.meta.resolve(specifier, place)
    return isMissing(url) ? (commonJsUrl(specifier, place) ?? url) : url
  } catch (error) {
    const found = bundledFor(specifier, error)?.href ?? commonJsUrl(specifier, place)
    if (found === undefined) throw error
    return found
  }
}

/** Node answers with the place of a file in a package also where there is no such file. */
function isMissing(url: string): boolean {
  return url.startsWith('file:') && statSync(fileURLToPath(url), { throwIfNoEntry: false })?.isFile() !== true
}

/** Where Node says that a package name leads, whether or not there is a file; undefined where it leads nowhere. */
export function placeOf(specifier: string, from: string): string | undefined {
  try {
    const url = urlOf(specifier, pathToFileURL(from).href)
    return url.startsWith('file:') ? fileURLToPath(url) : undefined
  } catch {
    return undefined
  }
}

/** The file that a package name means, where it is TypeScript. */
export function typescriptOf(specifier: string, from: string): string | undefined {
  const place = placeOf(specifier, from)
  return place !== undefined && /(?<!\.d)\.[cm]?tsx?$/.test(place) ? place : undefined
}

const OWN_FILE = fileURLToPath(import.meta.url)

/** What Node says of an import, about the file that it is written in and not about the one that asked Node. */
export function sayOf(message: string, from: string): string {
  return message.replace(` imported from ${OWN_FILE}`, ` imported from ${from}`)
}

/** Where CommonJS finds it: without extension, by folder, by what a package has for `require` alone. */
function commonJsUrl(specifier: string, place: string): string | undefined {
  try {
    return pathToFileURL(requireFrom(fileURLToPath(place)).resolve(specifier)).href
  } catch {
    return undefined
  }
}

function bundledFor(specifier: string, error: unknown): URL | undefined {
  const { code } = error as NodeJS.ErrnoException
  const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
  const file = isMissing ? BUNDLED[specifier] : undefined
  return file === undefined ? undefined : new URL(file, import.meta.url)
}

/** `require` of a package, as CommonJS at `from` would. */
export function requireExternal(specifier: string, from: string): unknown {
  const require = requireFrom(from)
  try {
    return require(specifier)
  } catch (error) {
    const bundled = bundledFor(specifier, error)
    if (bundled === undefined) throw error
    return require(fileURLToPath(bundled))
  }
}

const requires = new Map<string, NodeJS.Require>()

/** Node's own `require` for a file. */
export function requireFrom(file: string): NodeJS.Require {
  let found = requires.get(file)
  if (found === undefined) requires.set(file, (found = createRequire(pathToFileURL(file))))
  return found
}

/**
 * A module as project files see it. Of a CommonJS module every member can be imported by name, also those that
 * Node's own look at its source did not find; and where it was compiled from an ES module, its default is the
 * default of that.
 */
export function namespaceOf(native: Namespace): Namespace {
  const whole = native['default']
  const seen: Namespace = Object.create(null) as Namespace
  Object.defineProperty(seen, '__esModule', { value: true })
  for (const name of Object.keys(native)) if (!MARKS.has(name)) define(seen, name, () => native[name])
  if (isObject(whole) && isCommonJs(native, whole)) adopt(seen, whole)
  return seen
}

/** What CommonJS code has exported, as project files see it. */
export function namespaceOfExports(exported: unknown): Namespace {
  return namespaceOf({ default: exported })
}

/** Names that tell what a module is, and are no members of it. */
const MARKS: ReadonlySet<string> = new Set(['__esModule', 'module.exports'])

function adopt(seen: Namespace, whole: Namespace): void {
  for (const name of Object.keys(whole)) {
    if (name !== 'default' && !MARKS.has(name) && !(name in seen)) define(seen, name, () => whole[name])
  }
  if (whole['__esModule'] === true && 'default' in whole) define(seen, 'default', () => whole['default'])
}

function define(seen: Namespace, name: string, get: () => unknown): void {
  Object.defineProperty(seen, name, { enumerable: true, configurable: true, get })
}

function isObject(value: unknown): value is Namespace {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** Node gives all of a CommonJS module as `default`, and the names that it found beside it. */
function isCommonJs(native: Namespace, whole: Namespace): boolean {
  if ('module.exports' in native) return true
  return Object.keys(native).every((name) => name === 'default' || Object.is(native[name], whole[name]))
}
