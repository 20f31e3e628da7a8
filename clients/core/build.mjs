/** Builds the client: `dist/` for packages that bundle it, and the one file that the server serves. */

import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const served = join(here, '../../src/headwater/browser/dist/client.js')
const common = { bundle: true, format: 'esm', target: 'es2022', entryPoints: [join(here, 'src/index.ts')], logLevel: 'warning' }

await build({ ...common, outfile: join(here, 'dist/index.js') })
await build({ ...common, outfile: served, minify: true })

const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc')
const types = ['-p', here, '--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rewriteRelativeImportExtensions']
execFileSync(process.execPath, [tsc, ...types, '--rootDir', join(here, 'src'), '--outDir', join(here, 'dist')], { stdio: 'inherit' })
copyFileSync(join(here, '../../LICENSE'), join(here, 'LICENSE'))
