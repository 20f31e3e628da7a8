/**
 * Packages of the user's own workspace: linked into `node_modules`, their sources elsewhere. Owns which they are and
 * where in them a path leads. They are sources like the project's own, so what Node would not find there is found as
 * beside the project's files: without extension, as TypeScript, by folder.
 */

import { readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A package of the workspace, and what of it is asked for. */
export interface Linked {
  /** Where it is linked, in `node_modules`. */
  readonly link: string
  /** Where its sources are. */
  readonly folder: string
  /** The path within it; empty for the package itself. */
  readonly rest: string
}

const PACKAGE = /^((?:@[^/]+\/)?[^/@.][^/]*)(?:\/(.*))?$/

/** The package of the workspace that a file at `from` means by `specifier`; undefined for any other. */
export function linkedPackage(specifier: string, from: string): Linked | undefined {
  const [, name, rest = ''] = PACKAGE.exec(specifier) ?? []
  if (name === undefined) return undefined
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const link = join(folder, 'node_modules', name)
    if (statSync(link, { throwIfNoEntry: false })?.isDirectory() === true) return ofWorkspace(link, rest)
    if (folder === dirname(folder)) return undefined
  }
}

function ofWorkspace(link: string, rest: string): Linked | undefined {
  const folder = realpathSync(link)
  return folder.includes('/node_modules/') ? undefined : { link, folder, rest }
}

/**
 * Where in a package the path may lead, best first, extensions left open. `native` is what Node makes of it, if
 * anything: it knows `exports`. A package that has those decides alone what may be imported.
 */
export function placesIn({ link, folder, rest }: Linked, native: string | undefined): string[] {
  if (native !== undefined) {
    return [native.startsWith(`${link}/`) ? join(folder, native.slice(link.length)) : native]
  }
  const described = description(folder)
  if (described['exports'] !== undefined) return []
  if (rest !== '') return [join(folder, rest)]
  const named = ['main', 'module', 'source'].map((key) => described[key])
  const entries = [...named.filter((one) => typeof one === 'string'), 'index', 'src/index']
  return entries.map((entry) => join(folder, entry))
}

function description(folder: string): Record<string, unknown> {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>
  } catch {
    return {}
  }
}
