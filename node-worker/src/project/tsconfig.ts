/** The project's `tsconfig.json`, as far as running needs it: paths, decorators, JSX. Owns reading it leniently. */

import { createRequire } from 'node:module'
import { dirname, isAbsolute, join } from 'node:path'

import type { Sources } from './sources.ts'

export interface TsConfig {
  /** The folder that `paths` are relative to. */
  readonly base: string
  /** Whether a bare name may mean a file below `base`. */
  readonly bare: boolean
  readonly paths: ReadonlyMap<string, readonly string[]>
  readonly compiler: CompilerOptions
}

export interface CompilerOptions {
  readonly experimentalDecorators?: boolean
  readonly emitDecoratorMetadata?: boolean
  readonly useDefineForClassFields?: boolean
  readonly jsx?: string
  readonly jsxFactory?: string
  readonly jsxFragmentFactory?: string
  readonly jsxImportSource?: string
}

interface Raw {
  extends?: string | string[]
  compilerOptions?: Record<string, unknown>
}

const MOST_EXTENDS = 10

/** The configuration at the project's root; an empty one where there is none or it cannot be read. */
export function readTsConfig(sources: Sources): TsConfig {
  const options: Record<string, unknown> = {}
  for (const file of ['tsconfig.json', 'jsconfig.json'].map((name) => sources.absolute(name))) {
    if (!sources.has(file)) continue
    collect(sources, file, options, 0)
    break
  }
  const baseUrl = options['baseUrl'] as string | undefined
  const paths = (options['paths'] ?? {}) as Record<string, string[]>
  return {
    base: baseUrl ?? (options['#pathsFrom'] as string | undefined) ?? sources.root,
    bare: baseUrl !== undefined,
    paths: new Map(Object.entries(paths).filter(([, targets]) => Array.isArray(targets))),
    compiler: options as CompilerOptions,
  }
}

/** Options of the extended files first, so that nearer ones win. */
function collect(sources: Sources, file: string, into: Record<string, unknown>, depth: number): void {
  const raw = parse(sources, file)
  if (raw === undefined || depth > MOST_EXTENDS) return
  for (const extended of [raw.extends ?? []].flat()) {
    const found = locate(sources, file, extended)
    if (found !== undefined) collect(sources, found, into, depth + 1)
  }
  const own = { ...raw.compilerOptions }
  const folder = dirname(file)
  if (typeof own['baseUrl'] === 'string') own['baseUrl'] = join(folder, own['baseUrl'])
  if (own['paths'] !== undefined) own['#pathsFrom'] = folder
  Object.assign(into, own)
}

function locate(sources: Sources, from: string, extended: string): string | undefined {
  if (!extended.startsWith('.') && !isAbsolute(extended)) {
    const require = createRequire(from)
    return [extended, `${extended}/tsconfig.json`].map((name) => attempt(() => require.resolve(name))).find(Boolean)
  }
  const file = isAbsolute(extended) ? extended : join(dirname(from), extended)
  return [file, `${file}.json`].find((one) => sources.has(one))
}

function parse(sources: Sources, file: string): Raw | undefined {
  return attempt(() => JSON.parse(withoutComments(sources.read(file))) as Raw)
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** JSON with comments and trailing commas -> JSON. */
function withoutComments(text: string): string {
  const token = /"(?:\\.|[^"\\])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*[\]}])/g
  return text.replace(token, (found) => (found.startsWith('"') ? found : ''))
}
