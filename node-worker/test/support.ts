/** A project in a folder of its own, imported as the worker does. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

import { Project } from '../src/project/project.ts'
import type { Namespace } from '../src/project/externals.ts'
import type { Post } from '../src/posts.ts'
import { installStacks, SourceMaps } from '../src/sourcemaps.ts'

type Files = Readonly<Record<string, string>>

export interface Place {
  readonly root: string
  readonly project: Project
  /** Import a file and give what it exports. */
  load(path: string): Promise<Namespace>
}

/** `files` are sources that the server sends; `disk` lies on the disk alone, as packages do; `streamAuth` is the old format's
 * configuration. */
export function place(test: TestContext, files: Files, disk: Files = {}, streamAuth?: string): Place {
  const root = mkdtempSync(join(tmpdir(), 'project-'))
  test.after(() => rmSync(root, { recursive: true, force: true }))
  writeAll(root, { ...files, ...disk })
  const maps = new SourceMaps()
  installStacks(maps, '/node-worker/')
  const project = new Project(loadOf(root, files, streamAuth), maps)
  return { root, project, load: (path) => project.import(path) }
}

export function loadOf(root: string, files: Files, streamAuth?: string): Post {
  const paths = Object.keys(files)
  const old = streamAuth === undefined ? {} : { stream_auth: streamAuth }
  return {
    slot: -1,
    header: { t: 'load', generation: 1, root, folders: ['steps', 'src'], files: paths.map((path, section) => ({ path, section })), ...old },
    sections: paths.map((path) => Buffer.from(files[path] as string)),
  }
}

export function writeAll(root: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

/** The files of a package of the user's project. */
export function npmPackage(name: string, main: string, more: object = {}): Files {
  return {
    [`node_modules/${name}/package.json`]: JSON.stringify({ name, version: '1.0.0', main: 'main.js', ...more }),
    [`node_modules/${name}/main.js`]: main,
  }
}
