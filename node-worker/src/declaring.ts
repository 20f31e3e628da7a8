/**
 * What the project's step and stream files declare -> the manifest. Owns which files count and what is wrong
 * with each; whether a config makes sense is for the server to judge.
 */

import {
  ALL_RULE_NAMES,
  authenticateOf,
  conditionOf,
  configOf,
  DeclarationFault,
  member,
  middlewareOf,
  misnamedOf,
  ruleName,
  rulesOf,
  streamAuthOf,
  type Verb,
} from './exports.ts'
import { describe, locationsOf, tracebackOf } from './faults.ts'
import { needsHandler } from './kinds.ts'
import { lifespanFile, lifespanOf } from './lifespan.ts'
import { ProcessExit } from './loop.ts'
import type { Namespace } from './project/externals.ts'
import type { Project } from './project/project.ts'
import { SourceFault } from './project/transform.ts'
import { ConfigFault, plainConfig, type JsonObject } from './schemas/config.ts'
import { nameOf } from './values.ts'

export const LANGUAGE = 'node'

const STEP = /[^/][._]step\.(?:ts|js|mts|cts|mjs|cjs)$/
const STREAM = /[^/][._]stream\.(?:ts|js|mts|cts|mjs|cjs)$/
const CONFIG_LINE = /^\s*(?:export\s+)?(?:(?:const|let|var)\s+config\b|(?:module\.)?exports\.config\b)/m

/** The file that says who asks; it lies in the project's root. */
const AUTH = /^headwater_auth\.[cm]?[jt]s$/
const AUTH_LINE = /^.*\b(?:function|const|let|var|default)\b.*\bauthenticate\b/m

const STREAM_AUTH_LINE = /^.*\bstreamAuth\b.*[:,{]/m

const LIFESPAN_LINE = /^.*\b(?:function|const|let|var|default)\b.*\blifespan\b/m

export interface Manifest {
  readonly steps: JsonObject[]
  readonly streams: JsonObject[]
  readonly problems: JsonObject[]
  readonly auth: JsonObject[]
}

/**
 * Import every declaring file in turn; a broken one becomes a problem and the rest goes on. `onFile` is told each
 * before: should it end the process, or never end itself, nobody else can say which it was.
 */
export async function declare(project: Project, onFile: (path: string) => void): Promise<Manifest> {
  const manifest: Manifest = { steps: [], streams: [], problems: [], auth: [] }
  for (const path of project.sources.paths().sort()) {
    const kind = kindOf(project, path)
    if (kind === undefined) continue
    onFile(path)
    await new File(project, path, manifest).declare(kind)
  }
  for (const path of project.sources.paths().filter((one) => AUTH.test(one))) {
    onFile(path)
    await new File(project, path, manifest, AUTH_LINE).declareAuth()
  }
  const old = project.streamAuth
  if (old !== undefined && project.has(old)) {
    onFile(old)
    await new File(project, old, manifest, STREAM_AUTH_LINE).declareAuth(streamAuthOf)
  }
  const lifespan = lifespanFile(project.sources.paths())
  if (lifespan !== undefined) onFile(lifespan)
  if (lifespan !== undefined) await new File(project, lifespan, manifest, LIFESPAN_LINE).see(lifespanOf)
  return manifest
}

type Kind = 'steps' | 'streams'

function kindOf(project: Project, path: string): Kind | undefined {
  const { folders } = project.sources
  if (!folders.some((folder) => folder === '' || folder === '.' || path.startsWith(`${folder}/`))) return undefined
  if (STEP.test(path)) return 'steps'
  return STREAM.test(path) ? 'streams' : undefined
}

/** One declaring file on its way into the manifest. */
class File {
  readonly #project: Project
  readonly #path: string
  readonly #manifest: Manifest
  readonly #line: number | undefined

  constructor(project: Project, path: string, manifest: Manifest, wanted = CONFIG_LINE) {
    this.#project = project
    this.#path = path
    this.#manifest = manifest
    this.#line = lineOf(wanted, project.sources.read(project.sources.absolute(path)))
  }

  declare(kind: Kind): Promise<void> {
    return this.see((module) => this.#manifest[kind].push(kind === 'steps' ? this.#step(module) : this.#stream(module)))
  }

  declareAuth(find: (module: Namespace) => unknown = authenticateOf): Promise<void> {
    return this.see((module) => {
      find(module)
      this.#manifest.auth.push({ file: this.#path, language: LANGUAGE, ...this.#atConfig() })
    })
  }

  /** Import the file and look at what it exports; whatever goes wrong is a problem. */
  async see(look: (module: Namespace) => unknown): Promise<void> {
    let module: Namespace
    try {
      module = await this.#project.import(this.#path)
    } catch (error) {
      this.#manifest.problems.push(this.#importProblem(error))
      return
    }
    try {
      look(module)
    } catch (error) {
      this.#manifest.problems.push(this.#problem(error))
    }
  }

  #step(module: Namespace): JsonObject {
    const config = configOf(module)
    const middleware = middlewareOf(config)
    const handler = member(module, 'handler')
    if (needsHandler(config['type']) && typeof handler !== 'function') throw noHandler(handler)
    return this.#entry(without(config, ['middleware', 'condition']), {
      type: typeof config['type'] === 'string' ? config['type'] : '',
      async: handler?.constructor.name === 'AsyncFunction',
      middleware: middleware.length,
      condition: conditionOf(module) !== undefined,
    })
  }

  #stream(module: Namespace): JsonObject {
    const rules = rulesOf(module)
    const config = without(configOf(module), ALL_RULE_NAMES)
    const base = config['baseConfig']
    if (typeof base === 'object' && base !== null) config['baseConfig'] = without(base as JsonObject, ['factory'])
    for (const [name, verb] of misnamedOf(module, rules)) this.#manifest.problems.push(this.#misnamed(name, verb))
    return this.#entry(config, { access: (rules['read'] ?? 'open') !== 'open', rules })
  }

  /**
   * The warning about a rule that nobody asks, since it has another name. One that would have closed what is open
   * without it is an error: a stream that somebody meant to close is never opened.
   */
  #misnamed(name: string, verb: Verb): JsonObject {
    const message = `${name} is no rule of a stream, so nobody asks it.`
    const hint = `${ruleName(verb, name)} is meant? Else give it another name.`
    if (verb === 'read') throw new DeclarationFault('CONFIG_INVALID', message, hint)
    return { ...this.#about('CONFIG_UNKNOWN_KEY', message), level: 'warning', hint, ...this.#atConfig() }
  }

  #entry(config: JsonObject, more: JsonObject): JsonObject {
    const plain = plainConfig(config, (message) => this.#manifest.problems.push(this.#warning(message)))
    return { file: this.#path, language: LANGUAGE, config: plain, ...more, ...this.#atConfig() }
  }

  #atConfig(): JsonObject {
    return this.#line === undefined ? {} : { line: this.#line }
  }

  #warning(message: string): JsonObject {
    const hint = 'Write a JSON Schema there, or a type that JSON has.'
    return { ...this.#about('SCHEMA_NOT_CONVERTIBLE', message), level: 'warning', hint, ...this.#atConfig() }
  }

  #about(code: string, message: string): JsonObject {
    return { file: this.#path, code, message, involved: [this.#path] }
  }

  #problem(error: unknown): JsonObject {
    if (error instanceof ConfigFault) return { ...this.#about(error.code, error.message), ...this.#atConfig() }
    if (error instanceof DeclarationFault) {
      const hint = error.hint === '' ? {} : { hint: error.hint }
      return { ...this.#about(error.code, error.message), ...hint, ...this.#atConfig() }
    }
    // Objects of user code may fail in ways of their own when they are looked at.
    const traceback = tracebackOf(error, this.#project.root)
    const message = `The config cannot be read: ${describe(error)}`
    return { ...this.#about('CONFIG_NOT_JSON', message), traceback, ...this.#atConfig() }
  }

  #importProblem(error: unknown): JsonObject {
    const way = this.#project.wayOf(this.#path)
    const place = this.#placeOf(error)
    const file = place?.file ?? way.at(-1) ?? this.#path
    const involved = [...new Set([this.#path, ...way, file])]
    const message = error instanceof SourceFault ? error.message : describe(error)
    const syntax = error instanceof SourceFault
    return {
      file,
      code: syntax ? 'SYNTAX_ERROR' : 'IMPORT_FAILED',
      message,
      involved,
      ...(place === undefined ? {} : { line: place.line }),
      ...hintOf(error),
      traceback: error instanceof SourceFault ? error.picture : tracebackOf(error, this.#project.root),
    }
  }

  #placeOf(error: unknown): { file: string; line: number } | undefined {
    const { sources } = this.#project
    if (error instanceof SourceFault) return { file: sources.relative(error.file) ?? error.file, line: error.line }
    const [place] = locationsOf(error, (file) => sources.relative(file) !== undefined)
    return place && { file: sources.relative(place.file) ?? place.file, line: place.line }
  }
}

function lineOf(wanted: RegExp, source: string): number | undefined {
  const found = wanted.exec(source)
  if (found === null) return undefined
  const skipped = /^\s*/.exec(found[0])?.[0].length ?? 0
  return source.slice(0, found.index + skipped).split('\n').length
}

function noHandler(handler: unknown): DeclarationFault {
  const said = handler === undefined ? 'exports no function named handler' : `has a ${nameOf(handler)} as its handler`
  const hint = 'Write `export const handler = async (...) => { ... }`.'
  return new DeclarationFault('HANDLER_MISSING', `The file ${said}.`, hint)
}

function without(config: object, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(config).filter(([name]) => !names.includes(name)))
}

function hintOf(error: unknown): JsonObject {
  const name = /Cannot find (?:package|module) '((?:@[^'/]+\/)?[^'./][^'/]*)'/.exec(String(error))?.[1]
  if (name !== undefined) return { hint: `If "${name}" is a package, install it in the project: npm install ${name}` }
  return error instanceof ProcessExit ? { hint: 'Nothing may end the process while a file is imported.' } : {}
}
