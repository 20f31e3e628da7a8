/**
 * Builds the worker: `node build.mjs [FOLDER]`. The result runs on Node alone: the three threads, the transformer
 * with its WebAssembly, and zod for projects that have not installed it.
 */

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const out = resolve(process.argv[2] ?? join(here, '../src/headwater/node/dist'))
const require = createRequire(import.meta.url)
const swc = dirname(require.resolve('@swc/wasm/package.json'))
const zod = dirname(require.resolve('zod/package.json'))
const swcVersion = JSON.parse(await readFile(join(swc, 'package.json'), 'utf8')).version

await rm(out, { recursive: true, force: true })
await mkdir(join(out, 'swc'), { recursive: true })

const common = { bundle: true, platform: 'node', target: 'node20', outdir: out, legalComments: 'none', logLevel: 'warning' }

await build({
  ...common,
  entryPoints: ['main', 'reader', 'lane', 'transformer'].map((name) => join(here, `src/${name}.ts`)),
  format: 'esm',
  splitting: true,
  outExtension: { '.js': '.mjs' },
  define: { SWC_VERSION: JSON.stringify(swcVersion) },
})
await build({ ...common, entryPoints: { zod: 'zod' }, absWorkingDir: here, format: 'cjs', minify: true, outExtension: { '.js': '.cjs' } })

for (const file of ['wasm.js', 'wasm_bg.wasm']) await cp(join(swc, file), join(out, 'swc', file))
// The folder lies below packages of type "module" or none at all; the transformer is CommonJS.
await writeFile(join(out, 'swc/package.json'), '{ "type": "commonjs" }\n')
await cp(join(zod, 'LICENSE'), join(out, 'LICENSE.zod'))
await cp(join(swc, 'LICENSE'), join(out, 'LICENSE.swc'))
