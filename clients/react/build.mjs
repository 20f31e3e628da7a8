/** Builds the package: `dist/`, with React and the core client left to whoever bundles it. */

import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
await build({
  entryPoints: [join(here, 'src/index.ts')],
  outfile: join(here, 'dist/index.js'),
  bundle: true,
  packages: 'external',
  format: 'esm',
  target: 'es2022',
  // Frameworks that render on the server must know that hooks run in the browser.
  banner: { js: "'use client'" },
  logLevel: 'warning',
})
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
const types = ['-p', here, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions']
execFileSync(process.execPath, [tsc, ...types, '--rootDir', join(here, 'src'), '--outDir', join(here, 'dist')], { stdio: 'inherit' })
copyFileSync(join(here, '../../LICENSE'), join(here, 'LICENSE'))
