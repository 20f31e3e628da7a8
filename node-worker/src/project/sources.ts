/**
 * The files of a generation: the bytes that the server sent, and the disk for whatever it did not (files outside
 * the project, formats that are no source). Owns paths; knows nothing of what the files mean.
 */

import { existsSync, readFileSync, statSync } from 'node:fs'

/** Extensions tried for an import without one, in the order of preference. */
export const EXTENSIONS = ['.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.mjs', '.cjs', '.json'] as const

export class Sources {
  readonly root: string
  readonly folders: readonly string[]
  readonly #files: ReadonlyMap<string, Uint8Array>

  /** `files` maps paths relative to the root, with `/`, to their bytes. */
  constructor(root: string, folders: readonly string[], files: ReadonlyMap<string, Uint8Array>) {
    this.root = root
    this.folders = folders
    this.#files = files
  }

  /** The relative paths of the generation's files. */
  paths(): string[] {
    return [...this.#files.keys()]
  }

  /** The relative path of a file of the generation; undefined for any other. */
  relative(file: string): string | undefined {
    if (!file.startsWith(`${this.root}/`)) return undefined
    const path = file.slice(this.root.length + 1)
    return this.#files.has(path) ? path : undefined
  }

  absolute(path: string): string {
    return `${this.root}/${path}`
  }

  /** Whether there is a file of that absolute path. Sources that were not sent are gone. */
  has(file: string): boolean {
    if (this.relative(file) !== undefined) return true
    return !this.#owns(file) && existsSync(file) && statSync(file).isFile()
  }

  /** Folders in which the server looks for sources: what it did not send from there does not exist. */
  #owns(file: string): boolean {
    if (!file.startsWith(`${this.root}/`) || file.includes('/node_modules/')) return false
    return this.folders.some((folder) => file.startsWith(`${this.root}/${folder}/`)) && isSource(file)
  }

  read(file: string): string {
    const path = this.relative(file)
    const bytes = path === undefined ? readFileSync(file) : (this.#files.get(path) as Uint8Array)
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
  }
}

/** Whether a file is program text that is not types alone. */
export function isSource(file: string): boolean {
  return /(?<!\.d)\.[cm]?[jt]sx?$/.test(file)
}
