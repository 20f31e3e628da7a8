/** Builds the tests and runs them: Node 20 cannot read TypeScript itself. `node test.mjs [NAME ...]` narrows. */

import { spawnSync } from 'node:child_process'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
// Of its own for each version, so that versions can be tested side by side.
const out = join(here, 'build', process.version)
const wanted = process.argv.slice(2)
const names = (await readdir(join(here, 'test'))).filter((name) => name.endsWith('.test.ts'))
const chosen = names.filter((name) => wanted.length === 0 || wanted.some((one) => name.includes(one)))

await rm(out, { recursive: true, force: true })
await mkdir(join(out, 'swc'), { recursive: true })
await writeFile(join(out, 'swc/package.json'), '{ "type": "commonjs" }\n')
await writeFile(join(out, 'swc/wasm.js'), "module.exports = require('@swc/wasm')\n")
const common = { bundle: true, platform: 'node', target: 'node20', outdir: out, logLevel: 'warning' }
await build({
  ...common,
  entryPoints: [...chosen.map((name) => join(here, 'test', name)), ...['transformer', 'lane'].map((name) => join(here, `src/${name}.ts`))],
  entryNames: '[name]',
  format: 'esm',
  sourcemap: 'inline',
  outExtension: { '.js': '.mjs' },
  external: ['zod', 'zod3', 'zod40'],
})
await build({ ...common, entryPoints: { zod: 'zod' }, absWorkingDir: here, format: 'cjs', outExtension: { '.js': '.cjs' } })

const built = chosen.map((name) => join(out, name.replace(/\.ts$/, '.mjs')))
const flags = ['--test', '--enable-source-maps', '--experimental-import-meta-resolve']
const ran = spawnSync(process.execPath, [...flags, ...built], { cwd: here, stdio: 'inherit' })
process.exit(ran.status ?? 1)
