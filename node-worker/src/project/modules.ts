/**
 * The modules of a project: linked, evaluated once, in the order of their imports. Programs are in the form of
 * `System.register`, which has all of ES modules (live bindings, cycles, top-level `await`) in plain functions,
 * so that sources need not be on disk and CommonJS may be mixed in. Owns the graph.
 */

import { pathToFileURL } from 'node:url'
import { compileFunction } from 'node:vm'
import { dirname } from 'node:path'

import type { SourceMaps } from '../sourcemaps.ts'
import { importExternal, namespaceOfExports, requireExternal, requireFrom, sayOf, type Namespace } from './externals.ts'
import { hasExports, Module, type Dependency, type Register, type Setter } from './module.ts'
import { OWN } from './own.ts'
import type { Meaning, Resolver } from './resolve.ts'
import type { Sources } from './sources.ts'
import { SourceFault, type Program, type Transform } from './transform.ts'
import { finish, finishNow, withResolvers, type Work } from './work.ts'

export interface ModuleParts {
  readonly sources: Sources
  readonly resolver: Resolver
  readonly transform: Transform
  readonly maps: SourceMaps
}

export class Modules {
  readonly #parts: ModuleParts
  readonly #modules = new Map<string, Module>()
  #linking: Promise<unknown> = Promise.resolve()
  /** Through which imports the module came that runs now, itself last. */
  #chain: readonly Module[] = []

  constructor(parts: ModuleParts) {
    this.#parts = parts
  }

  /** Import a file of the project (absolute path). Rejects with whatever the file throws. */
  async import(file: string): Promise<Namespace> {
    const module = this.#module(file)
    const linking = this.#linking.then(() => finish(this.#link(module)))
    this.#linking = linking.catch(() => undefined)
    await linking
    await finish(this.#evaluate(module, []))
    return module.namespace
  }

  /** What a file exports that was imported whole before; undefined for any other. */
  imported(file: string): Namespace | undefined {
    const module = this.#modules.get(file)
    return module?.state === 'done' ? module.namespace : undefined
  }

  /** The files through which the error of a file that cannot be imported came, itself first. */
  wayOf(file: string): readonly string[] {
    return this.#module(file).way
  }

  #module(file: string): Module {
    let module = this.#modules.get(file)
    if (module === undefined) this.#modules.set(file, (module = new Module(file)))
    return module
  }

  // --- linking ---

  /** Find all that a module needs, directly or not. A fault is kept with its module and met when it runs. */
  *#link(first: Module, mode: 'import' | 'require' = 'import'): Work {
    const waiting = [first]
    for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
      if (module.linked) continue
      module.linked = true
      try {
        this.#compile(module)
        yield* this.#connect(module, waiting, mode)
      } catch (error) {
        module.fail(error)
      }
    }
  }

  *#connect(module: Module, waiting: Module[], mode: 'import' | 'require'): Work {
    for (const [index, specifier] of module.imports.entries()) {
      const dependency = yield* this.#dependency(specifier, module.file, mode)
      const setter = module.setters[index] as Setter
      module.dependencies.push(dependency)
      if (dependency instanceof Module) {
        waiting.push(dependency)
        dependency.listeners.push(setter)
        setter(dependency.namespace)
      } else {
        setter(dependency)
      }
    }
  }

  *#dependency(
    specifier: string,
    from: string,
    mode: 'import' | 'require',
  ): Work<Dependency> {
    const meaning = this.#meaning(specifier, from)
    if (meaning.kind === 'file') return this.#module(meaning.file)
    if (meaning.kind === 'own') return OWN
    if (mode === 'require') {
      const exported = this.#tried(specifier, from, () => requireExternal(meaning.specifier, from))
      return namespaceOfExports(exported)
    }
    try {
      return (yield importExternal(meaning.specifier, from)) as Namespace
    } catch (error) {
      throw this.#placed(error, specifier, from)
    }
  }

  #meaning(specifier: string, from: string): Exclude<Meaning, { kind: 'missing' }> {
    const meaning = this.#parts.resolver.resolve(specifier, from)
    if (meaning.kind !== 'missing') return meaning
    throw this.#placed(new Error(`Cannot find "${specifier}" from ${from}.`), specifier, from)
  }

  #tried<T>(specifier: string, from: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw this.#placed(error, specifier, from)
    }
  }

  /** Let an error that has no place in the project say which import it came from. */
  #placed(error: unknown, specifier: string, from: string): unknown {
    if (!(error instanceof Error) || error.stack?.includes(`${from}:`)) return error
    const line = lineOf(this.#parts.sources.read(from), specifier)
    const stack = error.stack ?? String(error)
    error.message = sayOf(error.message, from)
    error.stack = `${String(error)}\n    at import (${from}:${line}:1)${framesOf(stack)}`
    return error
  }

  #compile(module: Module): void {
    const { sources, transform, maps } = this.#parts
    const source = sources.read(module.file)
    if (module.file.endsWith('.json')) {
      const value = JSON.parse(source) as unknown
      module.export({ ...(isKey(value) ? value : {}), default: value })
      module.commonJs.exports = value
      return
    }
    const program = transform.run(module.file, source)
    maps.add(module.file, program.map)
    if (program.kind === 'script') this.#adoptScript(module, program)
    else this.#adoptModule(module, program)
  }

  #adoptModule(module: Module, program: Program): void {
    const register: Register = (names, declare) => {
      const declared = declare(module.export, this.#context(module.file))
      module.imports = names
      module.setters = declared.setters
      module.execute = () => declared.execute()
    }
    const run = this.#function(module.file, program.code, ['System', ...SCRIPT_NAMES])
    run({ register }, ...this.#scriptArguments(module))
    const execute = module.execute
    // TypeScript files may be CommonJS in all but their types.
    module.execute = () => {
      const result = execute()
      if (Object.keys(module.namespace).length === 0 && hasExports(module)) this.#shareExports(module)
      return result
    }
  }

  #adoptScript(module: Module, program: Program): void {
    const run = this.#function(module.file, program.code, SCRIPT_NAMES)
    module.isScript = true
    module.execute = () => {
      run.apply(module.commonJs.exports, this.#scriptArguments(module))
      this.#shareExports(module)
    }
  }

  #shareExports(module: Module): void {
    const seen = namespaceOfExports(module.commonJs.exports)
    module.export(Object.fromEntries(Object.keys(seen).map((name) => [name, seen[name]])) as Namespace)
  }

  #scriptArguments(module: Module): unknown[] {
    const { commonJs, file } = module
    return [commonJs.exports, this.#require(file), commonJs, file, dirname(file)]
  }

  #function(file: string, code: string, names: readonly string[]): Function {
    try {
      return compileFunction(code, [...names], { filename: file })
    } catch (error) {
      throw this.#parsed(error, file)
    }
  }

  /** V8 has the last word on syntax; it tells the line of the program, in the first line of the stack. */
  #parsed(error: unknown, file: string): unknown {
    if (!(error instanceof SyntaxError)) return error
    const [first = '', text = '', marks = ''] = (error.stack ?? '').split('\n')
    const generated = Number(first.slice(file.length + 1))
    if (!first.startsWith(`${file}:`) || !Number.isInteger(generated)) return error
    const column = Math.max(marks.indexOf('^'), 0) + 1
    const place = this.#parts.maps.original(file, { line: generated, column })
    return new SourceFault(error.message, file, place.line, `${file}:${place.line}\n${text}\n${marks}`)
  }

  // --- what programs may ask for ---

  #context(file: string): object {
    const url = pathToFileURL(file).href
    return {
      import: (specifier: string) => this.#dynamic(specifier, file),
      meta: {
        url,
        filename: file,
        dirname: dirname(file),
        resolve: (specifier: string) => this.#location(specifier, file),
      },
    }
  }

  async #dynamic(specifier: string, from: string): Promise<Namespace> {
    const meaning = this.#meaning(String(specifier), from)
    if (meaning.kind === 'file') return this.import(meaning.file)
    return meaning.kind === 'own' ? OWN : importExternal(meaning.specifier, from)
  }

  #location(specifier: string, from: string): string {
    const meaning = this.#meaning(specifier, from)
    if (meaning.kind === 'file') return pathToFileURL(meaning.file).href
    return import.meta.resolve(specifier, pathToFileURL(from).href)
  }

  #require(file: string): NodeJS.Require {
    const native = requireFrom(file)
    const require = (specifier: string): unknown => {
      const meaning = this.#meaning(specifier, file)
      if (meaning.kind === 'file') return this.#requireFile(meaning.file)
      return meaning.kind === 'own' ? OWN : requireExternal(meaning.specifier, file)
    }
    const resolve = (specifier: string, options?: object): string => {
      const meaning = this.#meaning(specifier, file)
      return meaning.kind === 'file' ? meaning.file : native.resolve(specifier, options)
    }
    return Object.assign(require, native, { resolve: Object.assign(resolve, native.resolve), main: undefined })
  }

  #requireFile(file: string): unknown {
    const module = this.#module(file)
    finishNow(this.#link(module, 'require'), file)
    finishNow(this.#evaluate(module, this.#chain), file)
    const isCommonJs = module.isScript || hasExports(module) || file.endsWith('.json')
    return isCommonJs ? module.commonJs.exports : module.namespace
  }

  // --- evaluating ---

  *#evaluate(module: Module, above: readonly Module[]): Work {
    if (module.state === 'failed') throw module.error
    if (module.state === 'running') {
      // A cycle goes on with what is there; another import waits.
      if (module.running !== undefined && !above.includes(module)) yield module.running
      if (module.state !== 'running') yield* this.#evaluate(module, above)
    } else if (module.state === 'new') {
      yield* this.#run(module, above)
    }
  }

  *#run(module: Module, above: readonly Module[]): Work {
    module.state = 'running'
    const { promise, resolve } = withResolvers()
    module.running = promise
    const chain = [...above, module]
    try {
      yield* this.#runDependencies(module, chain)
      const result = this.#execute(module, chain)
      if (result instanceof Promise) yield result
      module.state = 'done'
    } catch (error) {
      module.fail(error)
      throw error
    } finally {
      resolve()
    }
  }

  /** Run its code, as far as that goes without waiting. */
  #execute(module: Module, chain: readonly Module[]): unknown {
    const before = this.#chain
    this.#chain = chain
    try {
      return module.execute()
    } finally {
      this.#chain = before
    }
  }

  *#runDependencies(module: Module, above: readonly Module[]): Work {
    for (const dependency of module.dependencies) {
      if (!(dependency instanceof Module)) continue
      try {
        yield* this.#evaluate(dependency, above)
      } catch (error) {
        module.way = [module.file, ...dependency.way]
        throw error
      }
    }
  }
}

const SCRIPT_NAMES = ['exports', 'require', 'module', '__filename', '__dirname'] as const

function isKey(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function lineOf(source: string, specifier: string): number {
  const quoted = [`'${specifier}'`, `"${specifier}"`, `\`${specifier}\``]
  const found = source.split('\n').findIndex((line) => quoted.some((one) => line.includes(one)))
  return Math.max(found, 0) + 1
}

function framesOf(stack: string): string {
  const at = stack.search(/\n\s+at /)
  return at < 0 ? '' : stack.slice(at)
}
