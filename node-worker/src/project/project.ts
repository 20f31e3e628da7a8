/** One generation of a project, ready to be imported from. Owns putting its parts together. */

import { join } from 'node:path'

import type { Post } from '../posts.ts'
import type { SourceMaps } from '../sourcemaps.ts'
import type { Namespace } from './externals.ts'
import { Modules } from './modules.ts'
import { Resolver } from './resolve.ts'
import { Sources } from './sources.ts'
import { Transform } from './transform.ts'

interface LoadHeader {
  readonly root: string
  readonly folders: readonly string[]
  readonly stream_auth?: string
  readonly files: readonly { readonly path: string; readonly section: number }[]
}

export class Project {
  readonly sources: Sources
  /** The old format's configuration, where it says who follows streams. */
  readonly streamAuth: string | undefined
  readonly #modules: Modules
  readonly #transform: Transform

  /** `load` is the server's message of that name. */
  constructor(load: Post, maps: SourceMaps) {
    const { root, folders, files } = load.header as unknown as LoadHeader
    const bytes = files.map((file) => [file.path, load.sections[file.section] as Uint8Array] as const)
    const sources = new Sources(root, folders, new Map(bytes))
    const resolver = new Resolver(sources)
    const cache = join(root, '.headwater', 'cache', 'node')
    const transform = (this.#transform = new Transform(cache, resolver.config.compiler))
    this.sources = sources
    this.streamAuth = (load.header as unknown as LoadHeader).stream_auth
    this.#modules = new Modules({ sources, resolver, transform, maps })
  }

  get root(): string {
    return this.sources.root
  }

  /** What a file of the project exports; `path` is relative. Rejects with whatever the file throws. */
  import(path: string): Promise<Namespace> {
    return this.#modules.import(this.sources.absolute(path))
  }

  /** Whatever is imported from now on is rare. */
  settle(): void {
    this.#transform.release()
  }

  /** What a file exports that was imported before; undefined for any other. */
  imported(path: string): Namespace | undefined {
    return this.#modules.imported(this.sources.absolute(path))
  }

  /** Whether the generation has such a file. */
  has(path: string): boolean {
    return this.sources.relative(this.sources.absolute(path)) !== undefined
  }

  /** The files through which the error of a file came, as relative paths, itself first. */
  wayOf(path: string): string[] {
    const way = this.#modules.wayOf(this.sources.absolute(path))
    return way.map((file) => this.sources.relative(file) ?? file)
  }
}
