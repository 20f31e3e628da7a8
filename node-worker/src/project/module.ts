/** One module of a project and its state. Owns what it exports and who hears of it; finds and runs nothing. */

import type { Namespace } from './externals.ts'

export type Setter = (namespace: Namespace) => void
export type Export = (name: string | Namespace, value?: unknown) => unknown
export type Register = (names: string[], declare: (out: Export, context: object) => Declared) => void

export interface Declared {
  readonly setters: Setter[]
  readonly execute: () => unknown
}

/** What a module imports: another module of the project, or the namespace of something else. */
export type Dependency = Module | Namespace

export class Module {
  readonly file: string
  readonly namespace: Namespace = Object.create(null) as Namespace
  readonly listeners: Setter[] = []
  imports: string[] = []
  setters: Setter[] = []
  dependencies: Dependency[] = []
  execute: () => unknown = () => undefined
  linked = false
  state: 'new' | 'running' | 'done' | 'failed' = 'new'
  /** While it runs: done when it has ended. */
  running: Promise<unknown> | undefined
  error: unknown
  /** The files through which its error came, itself first. */
  way: readonly string[]
  /** Whether it is CommonJS and nothing else. */
  isScript = false
  /** What CommonJS code in it has exported. */
  readonly commonJs: { exports: unknown } = { exports: {} }

  constructor(file: string) {
    this.file = file
    this.way = [file]
    Object.defineProperty(this.namespace, '__esModule', { value: true })
  }

  fail(error: unknown): void {
    this.state = 'failed'
    this.error = error
  }

  readonly export: Export = (name, value) => {
    if (typeof name === 'string') this.namespace[name] = value
    else Object.assign(this.namespace, name)
    for (const listener of this.listeners) listener(this.namespace)
    return value
  }
}

/** Whether the CommonJS code in it has exported something. */
export function hasExports(module: Module): boolean {
  const { exports } = module.commonJs
  return typeof exports !== 'object' || exports === null || Object.keys(exports).length > 0
}
