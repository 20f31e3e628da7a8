/**
 * A source text -> what runs: a `System.register` program for whatever uses modules or types, a CommonJS one
 * where the file exports a whole (`export =`), the text itself for plain CommonJS. Owns the options of the
 * transformer, which runs when the first file needs it, and the cache.
 */

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'

import { decode, locate } from '../sourcemaps.ts'

import { Transformer, type Made } from './transformer.ts'
import type { CompilerOptions } from './tsconfig.ts'

/** What runs. */
export interface Program extends Result {
  readonly kind: 'module' | 'script'
}

/** A text that runs; `map` gives the text of its source map where it has one. */
interface Result {
  readonly code: string
  readonly map: () => string | undefined
}

/** A source that no parser takes. Lines and columns count from 1. */
export class SourceFault extends SyntaxError {
  readonly file: string
  readonly line: number
  /** The place, drawn with its lines. */
  readonly picture: string

  constructor(message: string, file: string, line: number, picture = '') {
    super(message)
    this.name = 'SyntaxError'
    this.file = file
    this.line = line
    this.picture = picture
  }
}

/** Raised when what is written into the cache changes. */
const FORMAT = 2

const MOST_CACHED = 4000

export class Transform {
  readonly #folder: string
  readonly #options: CompilerOptions
  readonly #transformer = new Transformer()

  /** `folder` is where results are kept. */
  constructor(folder: string, options: CompilerOptions) {
    this.#folder = folder
    this.#options = options
  }

  /** Let go of what only transforming needs, until the next source. */
  release(): void {
    this.#transformer.release()
  }

  /** Throws `SourceFault`. */
  run(file: string, written: string): Program {
    if (!needsTransform(file, written)) return { kind: 'script', code: written, map: () => undefined }
    const source = written.replace(IMPORT_WHOLE, '$1const  $2')
    const kind = EXPORTS_WHOLE.test(source) ? 'script' : 'module'
    const options = { ...optionsFor(file, this.#options), module: FORMS[kind] }
    const key = createHash('sha256').update(JSON.stringify([FORMAT, VERSION, options])).update(source).digest('hex')
    return { kind, ...(this.#cached(key) ?? this.#made(key, file, source, options)) }
  }

  #cached(key: string): Result | undefined {
    try {
      const code = readFileSync(join(this.#folder, `${key}.js`), 'utf8')
      return { code, map: () => this.#cachedMap(key) }
    } catch {
      return undefined
    }
  }

  #cachedMap(key: string): string | undefined {
    try {
      return readFileSync(join(this.#folder, `${key}.map`), 'utf8')
    } catch {
      return undefined
    }
  }

  #made(key: string, file: string, source: string, options: object): Result {
    const made = transform(this.#transformer, file, source, options)
    refuseRedeclared(file, transform(this.#transformer, file, source, { ...options, ...AS_ONE_SCOPE }))
    this.#keep(key, made)
    return { code: made.code, map: () => made.map }
  }

  /** Keeping is a favour to the next start: where it fails, nothing is lost. */
  #keep(key: string, made: Made): void {
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
      prune(this.#folder)
      // The map first: a program that is found has its map.
      writeWhole(join(this.#folder, `${key}.map`), made.map ?? '')
      writeWhole(join(this.#folder, `${key}.js`), made.code)
    } catch {
      return
    }
  }
}

function transform(transformer: Transformer, file: string, source: string, options: object): Made {
  try {
    return transformer.run(source, { ...options, filename: file })
  } catch (error) {
    throw faultOf(error, file)
  }
}

/** A form in which what a module declares stays in one scope; in the form that runs it does not. */
const AS_ONE_SCOPE = { module: { type: 'commonjs', ignoreDynamic: true } }

/** A name that a module declares twice is for V8 to find, which says so of the generated code. */
function refuseRedeclared(file: string, { code, map }: Made): void {
  try {
    new Script(`(async () => {${code}\n})`, { filename: file })
  } catch (error) {
    const line = /:(\d+)\n/.exec((error as Error).stack ?? '')?.[1]
    if (!/has already been declared/.test(String(error)) || line === undefined) return
    const [, text = '', marks = ''] = ((error as Error).stack ?? '').split('\n')
    const place = { line: Number(line), column: Math.max(marks.indexOf('^'), 0) + 1 }
    const original = map === undefined ? place : (locate(decode(map), place) ?? place)
    throw new SourceFault((error as Error).message, file, original.line, `${file}:${original.line}\n${text}\n${marks}`)
  }
}

function writeWhole(file: string, text: string): void {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, text, { mode: 0o600 })
  renameSync(draft, file)
}

function prune(folder: string): void {
  const names = readdirSync(folder)
  if (names.length < MOST_CACHED) return
  const aged = names.map((name) => ({ name, age: statSync(join(folder, name)).mtimeMs }))
  aged.sort((one, other) => one.age - other.age)
  for (const { name } of aged.slice(0, MOST_CACHED / 2)) rmSync(join(folder, name), { force: true })
}

declare const SWC_VERSION: string
const VERSION = typeof SWC_VERSION === 'string' ? SWC_VERSION : 'dev'

/** `export =` is CommonJS with types; the form of modules knows no export without a name. */
const EXPORTS_WHOLE = /^\s*export\s*=(?![=>])/m

/** Nor an import of what is no namespace. The line stays as long as it was. */
const IMPORT_WHOLE = /^(\s*(?:export\s+)?)import\s(\s*[\w$]+\s*=\s*require\s*\()/gm

const FORMS = { module: { type: 'systemjs' }, script: { type: 'commonjs' } } as const

const MODULE_SYNTAX = /^\s*(?:import|export)\b|\bimport\s*\(|\bimport\.meta\b/m

/** Plain CommonJS runs as it is written; everything else is TypeScript, JSX, or uses modules. */
function needsTransform(file: string, source: string): boolean {
  if (!/\.[cm]?js$/.test(file)) return true
  return file.endsWith('.mjs') || MODULE_SYNTAX.test(source)
}

function optionsFor(file: string, config: CompilerOptions): object {
  const typed = /\.[cm]?tsx?$/.test(file)
  const jsx = file.endsWith('x')
  const legacyDecorator = config.experimentalDecorators === true
  return {
    configFile: false,
    swcrc: false,
    isModule: true,
    sourceMaps: true,
    jsc: {
      parser: typed
        ? { syntax: 'typescript', tsx: jsx, decorators: true }
        : { syntax: 'ecmascript', jsx, decorators: true },
      target: 'es2022',
      keepClassNames: true,
      transform: {
        legacyDecorator,
        decoratorMetadata: legacyDecorator && config.emitDecoratorMetadata === true,
        ...(legacyDecorator ? {} : { decoratorVersion: '2022-03' }),
        useDefineForClassFields: config.useDefineForClassFields ?? !legacyDecorator,
        react: reactOptions(config),
      },
    },
  }
}

function reactOptions(config: CompilerOptions): object {
  if (config.jsx === 'react') {
    const { jsxFactory: pragma, jsxFragmentFactory: pragmaFrag } = config
    return { runtime: 'classic', ...(pragma ? { pragma } : {}), ...(pragmaFrag ? { pragmaFrag } : {}) }
  }
  return { runtime: 'automatic', ...(config.jsxImportSource ? { importSource: config.jsxImportSource } : {}) }
}

const ESCAPES = /\u001b\[[0-9;]*m/g

/** The transformer throws a text: a message, then the place with its lines. */
function faultOf(error: unknown, file: string): SourceFault {
  const text = (error as Error).message.replace(ESCAPES, '')
  const message = /^\s*[x×]\s*(.*)$/m.exec(text)?.[1] ?? text.trim().split('\n')[0] ?? 'It cannot be parsed'
  const line = Number(/\[[^\]]*?:(\d+):\d+\]/.exec(text)?.[1] ?? 1)
  return new SourceFault(message.trim(), file, line, text.split(/\n\n+Caused by:/)[0]?.trimEnd() ?? '')
}
