/**
 * What an import means: a file of the project, something that Node finds, or one of Headwater's own modules.
 * Owns the order in which files are tried; loads nothing.
 */

import { isBuiltin } from 'node:module'
import { dirname, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { placeOf, typescriptOf } from './externals.ts'
import { EXTENSIONS, isSource, type Sources } from './sources.ts'
import { readTsConfig, type TsConfig } from './tsconfig.ts'
import { linkedPackage, placesIn } from './workspace.ts'

/** Modules that the worker brings itself. */
export const OWN_MODULES: ReadonlySet<string> = new Set(['headwater', 'motia'])

export type Meaning =
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'own' }
  | { readonly kind: 'external'; readonly specifier: string }
  | { readonly kind: 'missing'; readonly specifier: string }

/** What TypeScript writes for what is a TypeScript file: `./a.js` means `./a.ts`. */
const WRITTEN_AS: Record<string, readonly string[]> = {
  '.js': ['.ts', '.tsx'],
  '.jsx': ['.tsx'],
  '.mjs': ['.mts'],
  '.cjs': ['.cts'],
}

export class Resolver {
  readonly #sources: Sources
  readonly config: TsConfig
  #imports: Record<string, unknown> | undefined

  constructor(sources: Sources) {
    this.#sources = sources
    this.config = readTsConfig(sources)
  }

  /** What `specifier` means in the file `from` (absolute). */
  resolve(specifier: string, from: string): Meaning {
    if (isBuiltin(specifier)) return { kind: 'external', specifier }
    if (OWN_MODULES.has(specifier)) return { kind: 'own' }
    const path = pathOf(specifier, from)
    if (path !== undefined) return this.#fileMeaning(path, specifier)
    const mapped = specifier.startsWith('#') ? this.#subpathImport(specifier) : this.#mapped(specifier)
    const file = mapped ?? this.#inWorkspace(specifier, from) ?? typescriptOf(specifier, from)
    return file === undefined ? { kind: 'external', specifier } : { kind: 'file', file }
  }

  #fileMeaning(path: string, specifier: string): Meaning {
    const file = this.#find(path)
    if (file === undefined) return { kind: 'missing', specifier }
    if (file.includes('/node_modules/') || file.endsWith('.node') || file.endsWith('.wasm')) {
      return { kind: 'external', specifier: file }
    }
    return { kind: 'file', file }
  }

  /** The file that a path without, or with the wrong, extension stands for. */
  #find(path: string): string | undefined {
    return candidates(path).find((file) => this.#sources.has(file))
  }

  /** The file that `paths` (or `baseUrl`) of the TypeScript configuration name, if any. */
  #mapped(specifier: string): string | undefined {
    const { base, bare, paths } = this.config
    for (const target of targetsOf(specifier, paths)) {
      const file = this.#find(isAbsolute(target) ? target : join(base, target))
      if (file !== undefined && !file.endsWith('.d.ts')) return file
    }
    return bare ? this.#find(join(base, specifier)) : undefined
  }

  /** The file of a package of the same workspace. */
  #inWorkspace(specifier: string, from: string): string | undefined {
    const linked = linkedPackage(specifier, from)
    if (linked === undefined) return undefined
    for (const place of placesIn(linked, placeOf(specifier, from))) {
      const file = this.#find(place)
      if (file !== undefined && isSource(file) && !file.includes('/node_modules/')) return file
    }
    return undefined
  }

  /** `#name`, from the `imports` of the project's `package.json`, where it names a file of the project. */
  #subpathImport(specifier: string): string | undefined {
    this.#imports ??= this.#readImports()
    const flat = new Map(Object.entries(this.#imports).map(([key, value]) => [key, conditionsOf(value)]))
    for (const target of targetsOf(specifier, flat)) {
      if (target.startsWith('./')) return this.#find(join(this.#sources.root, target))
    }
    return undefined
  }

  #readImports(): Record<string, unknown> {
    try {
      const text = this.#sources.read(this.#sources.absolute('package.json'))
      return (JSON.parse(text) as { imports?: Record<string, unknown> }).imports ?? {}
    } catch {
      return {}
    }
  }
}

function pathOf(specifier: string, from: string): string | undefined {
  if (/^\.{1,2}(\/|$)/.test(specifier)) return join(dirname(from), withoutQuery(specifier))
  if (isAbsolute(specifier)) return withoutQuery(specifier)
  return specifier.startsWith('file:') ? fileURLToPath(specifier) : undefined
}

function withoutQuery(specifier: string): string {
  return specifier.replace(/\?[^/]*$/, '')
}

function candidates(path: string): string[] {
  const written = /\.[cm]?jsx?$/.exec(path)?.[0] ?? ''
  const bare = path.slice(0, path.length - written.length)
  const typed = (WRITTEN_AS[written] ?? []).map((extension) => bare + extension)
  const extended = EXTENSIONS.map((extension) => path + extension)
  const inside = EXTENSIONS.map((extension) => join(path, `index${extension}`))
  return [...typed, path, ...extended, ...inside]
}

/** The targets of the most specific pattern that a specifier matches. */
function targetsOf(specifier: string, patterns: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const exact = patterns.get(specifier)
  if (exact !== undefined) return exact
  let best: { readonly prefix: string; readonly targets: string[] } | undefined
  for (const [pattern, targets] of patterns) {
    const [prefix = '', suffix] = pattern.split('*', 2)
    if (suffix === undefined || !specifier.startsWith(prefix) || !specifier.endsWith(suffix)) continue
    if (specifier.length < prefix.length + suffix.length || (best && best.prefix.length >= prefix.length)) continue
    const middle = specifier.slice(prefix.length, specifier.length - suffix.length)
    best = { prefix, targets: targets.map((target) => target.replace('*', () => middle)) }
  }
  return best?.targets ?? []
}

/** The targets of an entry of `imports` in `package.json`, whatever its conditions, best first. */
function conditionsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(conditionsOf)
  if (typeof value !== 'object' || value === null) return []
  const conditions = value as Record<string, unknown>
  return ['node', 'import', 'default', 'require'].flatMap((name) => conditionsOf(conditions[name]))
}
