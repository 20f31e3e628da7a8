import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'

import { locationsOf } from '../src/faults.ts'
import { Project } from '../src/project/project.ts'
import { SourceFault } from '../src/project/transform.ts'
import { SourceMaps } from '../src/sourcemaps.ts'
import { loadOf, npmPackage, place } from './support.ts'

type Files = Record<string, string>

/** The names that `steps/a.ts` exports, in a project of these files. */
async function exported(test: TestContext, files: Files, disk: Files = {}): Promise<Record<string, unknown>> {
  return { ...(await place(test, files, disk).load('steps/a.ts')) }
}

async function fails(test: TestContext, files: Files, disk: Files = {}): Promise<Error> {
  return place(test, files, disk).load('steps/a.ts').then(
    () => assert.fail('it should not load'),
    (error: Error) => error,
  )
}

// --- finding files ---

const FOUND: Record<string, [specifier: string, path: string]> = {
  'without its extension': ['./b', 'steps/b.ts'],
  'with the extension of what it becomes': ['./b.js', 'steps/b.ts'],
  'of a TypeScript module': ['./b.mjs', 'steps/b.mts'],
  'with its own extension': ['./b.ts', 'steps/b.ts'],
  'with dots in its name': ['./b.stream', 'steps/b.stream.ts'],
  'that is an index': ['./b', 'steps/b/index.ts'],
  'of the folder above': ['../lib/b', 'lib/b.js'],
  'by its folder': ['..', 'index.ts'],
  'that is plain JavaScript': ['./b', 'steps/b.js'],
  'that is a JavaScript module': ['./b', 'steps/b.mjs'],
  'with JSX': ['./b', 'steps/b.tsx'],
}

for (const [what, [specifier, path]] of Object.entries(FOUND)) {
  test(`a relative import finds a file ${what}`, async (t) => {
    const files = { 'steps/a.ts': `import { b } from '${specifier}'; export const a = b`, [path]: 'export const b = 1' }
    assert.deepEqual(await exported(t, files), { a: 1 })
  })
}

test('paths of the tsconfig are followed, with comments, patterns and inheritance', async (t) => {
  const files = {
    'tsconfig.base.json': '{ /* shared */ "compilerOptions": { "paths": { "@/*": ["./src/*"], "@lib": ["./lib/index"] }, } }',
    'tsconfig.json': '{ "extends": "./tsconfig.base.json", // here\n "compilerOptions": { "strict": true } }',
    'steps/a.ts': "import { b } from '@/deep/b'; import { c } from '@lib'; export const a = b + c",
    'src/deep/b.ts': 'export const b = 1',
    'lib/index.ts': 'export const c = 2',
  }
  assert.deepEqual(await exported(t, files), { a: 3 })
})

test('the longest pattern wins, and what it does not find is looked for as ever', async (t) => {
  const files = {
    'tsconfig.json': '{"compilerOptions":{"baseUrl":".","paths":{"@/*":["x/*"],"@/near/*":["y/*"]}}}',
    'steps/a.ts': "import { b } from '@/near/b'; import { c } from 'z/c'; import path from 'path'; export const a = [b, c, typeof path.join]",
    'y/b.ts': 'export const b = 1',
    'z/c.ts': 'export const c = 2',
  }
  assert.deepEqual(await exported(t, files), { a: [1, 2, 'function'] })
})

test('imports of the package.json may name files of the project', async (t) => {
  const files = {
    'package.json': '{"imports":{"#lib/*":{"types":"./no","import":"./lib/*.js"}}}',
    'steps/a.ts': "import { b } from '#lib/b'; export const a = b",
    'lib/b.ts': 'export const b = 1',
  }
  assert.deepEqual(await exported(t, files), { a: 1 })
})

test('a file that the server did not send is gone, though it is on the disk', async (t) => {
  const error = await fails(t, { 'steps/a.ts': "import './b'" }, { 'steps/b.ts': 'export {}' })
  assert.match(error.message, /Cannot find "\.\/b"/)
})

test('data that is no source is read from the disk', async (t) => {
  const files = { 'steps/a.ts': "import data from '../data.json'; export const a = data.n" }
  assert.deepEqual(await exported(t, files, { 'data.json': '{"n": 1}' }), { a: 1 })
})

// --- TypeScript ---

test('imports that only types use are dropped, without the word type', async (t) => {
  const files = {
    'steps/a.ts': "import { StreamConfig, Handlers } from 'not-installed'; import { T } from './types'; export const a: StreamConfig & T = 1",
    'steps/types.ts': 'export type T = number; throw new Error("never loaded")',
  }
  assert.deepEqual(await exported(t, files), { a: 1 })
})

test('types may be exported again without the word type', async (t) => {
  const files = { 'steps/a.ts': "export { T, b } from './b'", 'steps/b.ts': 'export interface T {}; export const b = 1' }
  assert.deepEqual(await exported(t, files), { T: undefined, b: 1 })
})

test('enums, namespaces, parameter properties, satisfies and using are understood', async (t) => {
  const files = {
    'steps/a.ts': `
      enum Color { Red = 1, Green }
      namespace N { export const x = 2 }
      class P { constructor(readonly y: number) {} }
      let closed = 0
      { using _r = { [Symbol.dispose ?? Symbol.for('dispose')]() { closed++ } } }
      export const a = [Color.Green, N.x, new P(3).y, (4 satisfies number)]`,
  }
  const polyfill = "(Symbol as any).dispose ??= Symbol('dispose')\n"
  assert.deepEqual((await exported(t, { 'steps/a.ts': polyfill + files['steps/a.ts'] }))['a'], [2, 2, 3, 4])
})

test('decorators of both kinds are understood, as the tsconfig says', async (t) => {
  const legacy = {
    'tsconfig.json': '{"compilerOptions":{"experimentalDecorators":true}}',
    'steps/a.ts': 'const seen: string[] = []; const d = (_: any, key: string) => { seen.push(key) }; class A { @d x = 1 }; new A(); export const a = seen',
  }
  assert.deepEqual(await exported(t, legacy), { a: ['x'] })
  const standard = {
    'steps/a.ts': 'const seen: string[] = []; const d = (_: any, { name }: any) => { seen.push(name) }; class A { @d x = 1 }; new A(); export const a = seen',
  }
  assert.deepEqual(await exported(t, standard), { a: ['x'] })
})

test('JSX becomes calls of the configured library', async (t) => {
  const files = {
    'tsconfig.json': '{"compilerOptions":{"jsx":"react-jsx","jsxImportSource":"tiny"}}',
    'steps/a.ts': "import { View } from './view'; export const a = View()",
    'steps/view.tsx': 'export const View = () => <b id="1">x</b>',
  }
  const tiny = {
    'node_modules/tiny/package.json': '{"name":"tiny","exports":{"./jsx-runtime":"./r.js"}}',
    'node_modules/tiny/r.js': 'exports.jsx = (name, props) => [name, props]',
  }
  assert.deepEqual(await exported(t, files, tiny), { a: ['b', { id: '1', children: 'x' }] })
})

test('JSX becomes calls of the configured function', async (t) => {
  const files = {
    'tsconfig.json': '{"compilerOptions":{"jsx":"react","jsxFactory":"h","jsxFragmentFactory":"Frag"}}',
    'steps/a.ts': "export { a } from './view'",
    'steps/view.tsx':
      'const h = (...all: unknown[]) => all; const Frag = "f"; export const a = <><b id="1">x</b></>',
  }
  assert.deepEqual(await exported(t, files), { a: ['f', null, ['b', { id: '1' }, 'x']] })
})

test('a file may begin with a byte order mark or a shebang', async (t) => {
  assert.deepEqual(await exported(t, { 'steps/a.ts': '\ufeffexport const a = 1' }), { a: 1 })
  assert.deepEqual(await exported(t, { 'steps/a.ts': '#!/usr/bin/env node\nexport const a = 1' }), { a: 1 })
})

// --- modules ---

test('bindings are live, and modules in a cycle see each other', async (t) => {
  const files = {
    'steps/a.ts': "import { bump, seen } from './b'; export let n = 0; export function up() { n++ }; bump(); export const a = [n, seen()]",
    'steps/b.ts': "import { n, up } from './a'; export const bump = () => up(); export const seen = () => n",
  }
  assert.deepEqual((await exported(t, files))['a'], [1, 1])
})

test('a module runs once, after what it imports, in the order of the imports', async (t) => {
  const log = 'globalThis.order.push'
  const files = {
    'steps/a.ts': `import './b'; import './c'; ${log}('a')`,
    'steps/b.ts': `import './d'; ${log}('b')`,
    'steps/c.ts': `import './d'; ${log}('c')`,
    'steps/d.ts': `${log}('d')`,
  }
  const order: string[] = []
  Object.assign(globalThis, { order })
  await exported(t, files)
  assert.deepEqual(order, ['d', 'b', 'c', 'a'])
})

test('a module may await at its top level, and importers wait', async (t) => {
  const files = {
    'steps/a.ts': "import { b } from './b'; import { c } from './c'; export const a = b + c",
    'steps/b.ts': 'await new Promise((wake) => setTimeout(wake, 10)); export const b = 1',
    'steps/c.ts': "import { b } from './b'; export const c = b + 1",
  }
  assert.deepEqual(await exported(t, files), { a: 3 })
})

test('dynamic imports find files, packages and what is not there', async (t) => {
  const files = {
    'steps/a.ts': `
      export const a = (await import('./b')).b
      export const c = (await import('pack')).default
      export const d = await import('./nowhere').catch((error) => error.message)`,
    'steps/b.ts': 'export const b = 1',
  }
  const found = await exported(t, files, npmPackage('pack', 'module.exports = 2'))
  assert.deepEqual([found['a'], found['c']], [1, 2])
  assert.match(String(found['d']), /Cannot find "\.\/nowhere"/)
})

test('import.meta tells where the file is', async (t) => {
  const { root, load } = place(t, {
    'steps/a.ts': "export const a = [import.meta.url, import.meta.filename, import.meta.dirname, import.meta.resolve('./b')]",
    'steps/b.ts': '',
  })
  const file = join(root, 'steps/a.ts')
  assert.deepEqual((await load('steps/a.ts'))['a'], [`file://${file}`, file, join(root, 'steps'), `file://${root}/steps/b.ts`])
})

test('everything of a module can be imported at once, and exported again', async (t) => {
  const files = {
    'steps/a.ts': "import * as b from './b'; export * from './b'; export * as all from './b'; export const a = Object.keys(b).sort()",
    'steps/b.ts': 'export const x = 1; export default 2',
  }
  const found = await exported(t, files)
  assert.deepEqual([found['a'], found['x'], (found['all'] as { default: number }).default], [['default', 'x'], 1, 2])
})

// --- CommonJS ---

test('CommonJS and modules import each other', async (t) => {
  const files = {
    'steps/a.ts': "import whole, { x } from './b'; export const a = [whole.x, x, whole.back]",
    'steps/b.js': "const c = require('./c'); module.exports = { x: 1, back: c.c + c.default }",
    'steps/c.ts': 'export const c = 2; export default 3',
  }
  assert.deepEqual(await exported(t, files), { a: [1, 1, 5] })
})

test('CommonJS in a cycle sees what has been exported so far', async (t) => {
  const files = {
    'steps/a.ts': "import { early, late } from './b.cjs'; export const a = [early, late()]",
    'steps/b.cjs': "exports.early = 1; exports.late = require('./c.cjs').late; exports.end = 3",
    'steps/c.cjs': "const b = require('./b.cjs'); exports.late = () => [b.early, b.end]",
  }
  assert.deepEqual(await exported(t, files), { a: [1, [1, 3]] })
})

test('a module that requires what imports it sees what has been exported so far', async (t) => {
  const files = {
    'steps/a.ts': "export const early = 1; import { b } from './b'; export const a = b()",
    'steps/b.ts': "const back = require('./a'); export const b = () => [back.early, back.a]",
  }
  assert.deepEqual(await exported(t, files), { early: 1, a: [1, undefined] })
})

test('CommonJS knows its names and place', async (t) => {
  const files = {
    'steps/a.ts': "import b from './b.cjs'; export const a = b",
    'steps/b.cjs': "exports.names = [require('path').basename(__filename), require('path').basename(__dirname), this === exports, require.resolve('./c').endsWith('c.json'), require('./c').n]",
    'steps/c.json': '{"n": 1}',
  }
  assert.deepEqual(await exported(t, files), { a: { names: ['b.cjs', 'steps', true, true, 1] } })
})

test('a TypeScript file may export the CommonJS way', async (t) => {
  assert.deepEqual(await exported(t, { 'steps/a.ts': 'module.exports = { a: 1 as number }' }), { a: 1, default: { a: 1 } })
  assert.equal((await exported(t, { 'steps/a.ts': "import fs = require('fs'); export = { a: typeof fs.readFileSync }" }))['a'], 'function')
})

test('what a TypeScript file exports as a whole may be anything', async (t) => {
  const files = (value: string): Files => ({
    'steps/a.ts': "import whole = require('./b'); import same from './b'; export const a = [typeof whole, whole === same]",
    'steps/b.ts': `import { join } from 'node:path'\nimport { c } from './c'\n${value}\n`,
    'steps/c.ts': 'export const c = 1',
  })
  for (const [value, type] of [
    ['const made = { n: c, join }\nexport = made', 'object'],
    ['export = function f() { return c }', 'function'],
    ['class C { n = c }\nexport = C', 'function'],
    ["export = 'text'", 'string'],
  ] as const) {
    assert.deepEqual(await exported(t, files(value)), { a: [type, true] }, value)
  }
})

test('an error in a file that exports a whole has its line', async (t) => {
  const source = 'interface A {\n  x: 1\n}\nfunction f(_: A): never {\n  throw new Error("f")\n}\nf({ x: 1 })\nexport = f'
  const error = await fails(t, { 'steps/a.ts': source })
  assert.match(error.stack ?? '', /a\.ts:5:/)
})

test('what awaits at its top level cannot be required, and says so', async (t) => {
  const files = { 'steps/a.ts': "import './b.js'", 'steps/b.js': "require('./c')", 'steps/c.ts': 'await 1; export const c = 1' }
  assert.match((await fails(t, files)).message, /c\.ts cannot be required: it waits at its top level/)
})

// --- packages ---

test('members of a CommonJS package can be imported by name, also those that Node does not see', async (t) => {
  const files = { 'steps/a.ts': "import pack, { hidden, plain } from 'pack'; export const a = [pack.plain, plain, hidden]" }
  const code = "exports.plain = 1; Object.assign(module.exports, { ['hid' + 'den']: 2 })"
  assert.deepEqual(await exported(t, files, npmPackage('pack', code)), { a: [1, 1, 2] })
})

test('the default of a package compiled from a module is its default', async (t) => {
  const files = { 'steps/a.ts': "import pack, { named } from 'pack'; export const a = [pack, named]" }
  const code = "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = 1; exports.named = 2"
  assert.deepEqual(await exported(t, files, npmPackage('pack', code)), { a: [1, 2] })
})

test('packages of modules alone, and those of both kinds, are imported as modules', async (t) => {
  const files = { 'steps/a.ts': "import { kind } from 'both'; import { only } from 'only'; export const a = [kind, only]" }
  const disk = {
    'node_modules/both/package.json': '{"name":"both","exports":{"import":"./m.mjs","require":"./c.cjs"}}',
    'node_modules/both/m.mjs': "export const kind = 'module'",
    'node_modules/both/c.cjs': "exports.kind = 'commonjs'",
    ...npmPackage('only', 'export const only = 1', { type: 'module' }),
  }
  assert.deepEqual(await exported(t, files, disk), { a: ['module', 1] })
})

test('a file in a package is found as CommonJS finds it, where modules have no way to it', async (t) => {
  const files = {
    'steps/a.ts': "import chunk from 'pack/chunk'; import { x } from 'pack/fp'; import { y } from 'old'; export const a = [chunk, x, y]",
  }
  const disk = {
    ...npmPackage('pack', ''),
    'node_modules/pack/chunk.js': 'module.exports = 1',
    'node_modules/pack/fp/package.json': '{"main":"./main.js"}',
    'node_modules/pack/fp/main.js': 'exports.x = 2',
    'node_modules/old/package.json': '{"name":"old","exports":{"require":"./old.js"}}',
    'node_modules/old/old.js': 'exports.y = 3',
  }
  assert.deepEqual(await exported(t, files, disk), { a: [1, 2, 3] })
  assert.match((await fails(t, { 'steps/a.ts': "import 'pack/nope'" }, disk)).message, /Cannot find module .*pack\/nope/)
})

test('a package of the same workspace may be TypeScript', async (t) => {
  const files = { 'steps/a.ts': "import { b } from '@app/shared'; import { c } from '@app/shared/deep'; export const a = b + c" }
  const disk = {
    'packages/shared/package.json': '{"name":"@app/shared","exports":{".":"./src/index.ts","./deep":"./src/deep.ts"}}',
    'packages/shared/src/index.ts': "enum E { B = 1 }\nexport const b: number = E.B",
    'packages/shared/src/deep.ts': "import type { X } from './x'\nexport { c } from './c'\nexport type { X }",
    'packages/shared/src/c.ts': 'export const c: number = 2',
  }
  const { root, load } = place(t, files, disk)
  mkdirSync(join(root, 'node_modules/@app'), { recursive: true })
  symlinkSync(join(root, 'packages/shared'), join(root, 'node_modules/@app/shared'))
  assert.deepEqual({ ...(await load('steps/a.ts')) }, { a: 3 })
})

const LINKED: Record<string, Files> = {
  'a file without its extension': { 'answer.ts': 'export const x: number = 1' },
  'a file of JavaScript': { 'answer.js': "import { x } from './deep/x'\nexport { x }", 'deep/x.js': 'export const x = 1' },
  'a file of CommonJS': { 'answer.js': 'exports.x = 1' },
  'a folder with an index': { 'answer/index.ts': 'export const x = 1' },
  'a file by what it becomes': { 'answer.ts': 'export const x = 1' },
  'a file by its exports': { 'src/answer.ts': 'export const x = 1', 'package.json': '{"exports":{"./*":"./src/*"}}' },
  'a file by its exports, built': { 'src/answer.ts': 'export const x = 1', 'package.json': '{"exports":{"./*":"./src/*.js"}}' },
  'JSON': { 'answer.json': '{"x":1}' },
  'itself': { 'index.ts': 'export const x = 1' },
  'itself, by a main without extension': { 'lib/main.ts': 'export const x = 1', 'package.json': '{"main":"./lib/main"}' },
  'itself, in src': { 'src/index.ts': 'export const x = 1' },
}

for (const [what, files] of Object.entries(LINKED)) {
  test(`a linked package gives ${what}, however it is imported`, async (t) => {
    const path = what.startsWith('itself') ? '' : what.includes('becomes') ? '/answer.js' : what === 'JSON' ? '/answer.json' : '/answer'
    const specifier = `@acme/shared${path}`
    const steps = {
      'steps/a.ts': `import { x } from '${specifier}'; export const a = x`,
      'steps/b.ts': `const { x } = require('${specifier}'); exports.a = x`,
      'steps/c.ts': `const { x } = await import('${specifier}'); export const a = x`,
    }
    const disk = Object.fromEntries(Object.entries(files).map(([name, text]) => [`packages/shared/${name}`, text]))
    const { root, load } = place(t, steps, { 'packages/shared/package.json': '{}', ...disk })
    mkdirSync(join(root, 'node_modules/@acme'), { recursive: true })
    symlinkSync('../../packages/shared', join(root, 'node_modules/@acme/shared'))
    for (const step of Object.keys(steps)) assert.equal((await load(step))['a'], 1, step)
  })
}

test('the error about what a package lacks is about the file that imports it', async (t) => {
  const lost = ['@acme/shared/nope', '@acme/shared/lib', '@acme/shared', 'hidden/nope', 'pack/nope']
  const steps = lost.map((specifier, index) => [`steps/${index}.ts`, `\nimport { x } from '${specifier}'; export const a = x`])
  const disk = {
    'packages/shared/package.json': '{}',
    'packages/shared/lib/notes.md': '',
    'node_modules/hidden/package.json': '{"exports":{".":"./main.js"}}',
    ...npmPackage('pack', ''),
  }
  const { root, load } = place(t, Object.fromEntries(steps) as Files, disk)
  mkdirSync(join(root, 'node_modules/@acme'), { recursive: true })
  symlinkSync('../../packages/shared', join(root, 'node_modules/@acme/shared'))
  for (const path of steps.map(([name]) => name as string)) {
    const error = await load(path).then(() => assert.fail(), (error: Error) => error)
    assert.ok(error.message.includes(` imported from ${join(root, path)}`), error.message)
    assert.doesNotMatch(String(error.stack), /node-worker|headwater/)
    assert.deepEqual(locationsOf(error, (file) => file === join(root, path)), [{ file: join(root, path), line: 2 }])
  }
})

test('a linked package is one module, by whatever path it is imported', async (t) => {
  const files = {
    'steps/a.ts': "import { counter } from '@acme/shared'; import { counter as same } from '@acme/shared/counter'; import { counter as near } from '../packages/shared/counter'; export const a = [counter === same, same === near]",
  }
  const disk = {
    'packages/shared/package.json': '{"main":"index.js","type":"module"}',
    'packages/shared/index.js': "export { counter } from './counter.js'",
    'packages/shared/counter.js': 'export const counter = {}',
  }
  const { root, load } = place(t, files, disk)
  mkdirSync(join(root, 'node_modules/@acme'), { recursive: true })
  symlinkSync('../../packages/shared', join(root, 'node_modules/@acme/shared'))
  assert.deepEqual((await load('steps/a.ts'))['a'], [true, true])
})

test('zod comes with the worker, unless the project has its own', async (t) => {
  const files = { 'steps/a.ts': "import { z } from 'zod'; export const a = z.string().parse('x'); export const own = (z as any).own" }
  assert.deepEqual(await exported(t, files), { a: 'x', own: undefined })
  const own = npmPackage('zod', "exports.z = { own: true, string: () => ({ parse: () => 'own' }) }")
  assert.deepEqual(await exported(t, files, own), { a: 'own', own: true })
  const required = { 'steps/a.ts': "import b from './b.cjs'; export const a = b", 'steps/b.cjs': "module.exports = typeof require('zod').z.string" }
  assert.deepEqual(await exported(t, required), { a: 'function' })
})

test('headwater and motia resolve without being installed', async (t) => {
  const files = { 'steps/a.ts': "import { HeadwaterError } from 'headwater'; import { HeadwaterError as old } from 'motia'; export const a = [HeadwaterError.name, old === HeadwaterError]" }
  assert.deepEqual(await exported(t, files), { a: ['HeadwaterError', true] })
})

test('a step of the format after the old one says so', async (t) => {
  const error = await fails(t, { 'steps/a.ts': "import { queue } from 'motia'; export const config = { triggers: [queue('x')] }" })
  assert.match(error.message, /"queue" belongs to version 1 of the old framework.*Write the trigger into the config/)
})

test('what the old module had resolves, and its server says that it is not there', async (t) => {
  const files = {
    'steps/a.ts': `import { config, defineConfig, isApiStep, MemoryStateAdapter, createServer, PLUGIN_FLOW_ID } from 'motia'
      const tried = [() => new MemoryStateAdapter(), () => createServer()].map((use) => { try { use() } catch (error) { return [error.code, error.message] } })
      export const a = [config({ app: 1 }).app, defineConfig(2), isApiStep({ config: { type: 'api' } }), typeof PLUGIN_FLOW_ID, tried]`,
  }
  const say = (name: string): string[] => ['NOT_SUPPORTED_YET', `"${name}" is a part of the old framework's server, which does not run here. Steps find what they need in ctx.`]
  assert.deepEqual(await exported(t, files), { a: [1, 2, true, 'string', [say('MemoryStateAdapter'), say('createServer')]] })
})

// --- faults ---

test('a syntax error has the parser\'s message, its file and its line', async (t) => {
  const error = await fails(t, { 'steps/a.ts': "import './b'", 'steps/b.ts': 'export const a = {\n  b: 1\n  c: 2\n}' })
  assert(error instanceof SourceFault)
  assert.match(error.message, /Expected ','/)
  assert(error.file.endsWith('steps/b.ts'))
  assert.equal(error.line, 3)
})

test('a name declared twice is a syntax error with its line in the source', async (t) => {
  const source = 'interface A {\n  x: 1\n}\nexport const handler = async (req: A) => {\n  const { x } = req\n  const x = 2\n}'
  const error = await fails(t, { 'steps/a.ts': source })
  assert(error instanceof SourceFault)
  assert.equal(error.message, "Identifier 'x' has already been declared")
  assert.equal(error.line, 6)
})

test('so is one at the top of a file, whatever else is there', async (t) => {
  const top = "type T = 1\nimport { x } from './b'\nexport const a: T = 1\nawait x\nconsole.log(import.meta.url)\n"
  for (const again of ['const a = 2', 'function a() {}', 'class a {}', 'let a']) {
    const error = await fails(t, { 'steps/a.ts': `${top}${again}`, 'steps/b.ts': 'export const x = 1' })
    assert(error instanceof SourceFault, again)
    assert.match(error.message, /^Identifier 'a' has already been declared$/)
    assert.equal(error.line, 6)
  }
})

test('an error has a stack in terms of the sources', async (t) => {
  const files = {
    'steps/a.ts': "interface I {\n  a: 1\n}\nimport { fail } from './b'\n\nexport const a: I = fail()",
    'steps/b.ts': 'type T = {\n  a: 1\n}\nexport function fail(): never {\n  throw new Error("no")\n}',
  }
  const { root, load } = place(t, files)
  const error = await load('steps/a.ts').catch((thrown: unknown) => thrown)
  assert.deepEqual(locationsOf(error, (file) => file.startsWith(root)), [
    { file: join(root, 'steps/b.ts'), line: 5 },
    { file: join(root, 'steps/a.ts'), line: 6 },
  ])
  assert.match(String((error as Error).stack), /at fail .*b\.ts:5:9\)\n {4}at <module> .*a\.ts:6:\d+\)$/)
})

test('a package that is missing is blamed on the line that imports it', async (t) => {
  const files = { 'steps/a.ts': "\n\nimport { x } from 'missing-package'\nexport const a = x" }
  const { root, load } = place(t, files)
  const error = await load('steps/a.ts').catch((thrown: unknown) => thrown)
  assert.match(String(error), /Cannot find package 'missing-package'/)
  assert.deepEqual(locationsOf(error, (file) => file.startsWith(root)), [{ file: join(root, 'steps/a.ts'), line: 3 }])
})

test('the way of an error through the files is known, for each file that needs the broken one', async (t) => {
  const files = {
    'steps/a.ts': "import './b'",
    'steps/b.ts': "import './c'",
    'steps/c.ts': "throw new Error('no')",
    'steps/d.ts': "import './b'",
  }
  const { project, load } = place(t, files)
  await assert.rejects(load('steps/a.ts'))
  await assert.rejects(load('steps/d.ts'))
  assert.deepEqual(project.wayOf('steps/a.ts'), ['steps/a.ts', 'steps/b.ts', 'steps/c.ts'])
  assert.deepEqual(project.wayOf('steps/d.ts'), ['steps/d.ts', 'steps/b.ts', 'steps/c.ts'])
})

// --- the cache ---

test('what was transformed is kept for the next start, and damage to it does not matter', async (t) => {
  const files = { 'steps/a.ts': 'export const a: number = 1' }
  const { root, load } = place(t, files)
  await load('steps/a.ts')
  const folder = join(root, '.headwater/cache/node')
  const kept = readdirSync(folder).filter((name) => name.endsWith('.js'))
  assert.equal(kept.length, 1)
  const file = join(folder, kept[0] as string)
  // It holds the project's sources, which are nobody else's.
  const modes = ['.headwater', '.headwater/cache/node'].map((path) => statSync(join(root, path)).mode & 0o777)
  assert.deepEqual([...modes, statSync(file).mode & 0o777], [0o700, 0o700, 0o600])
  writeFileSync(file, readFileSync(file, 'utf8').replace('a = 1', 'a = 2'))
  const again = new Project(loadOf(root, files), new SourceMaps())
  assert.equal((await again.import('steps/a.ts'))['a'], 2)
  const changed = new Project(loadOf(root, { 'steps/a.ts': 'export const a: number = 3' }), new SourceMaps())
  assert.equal((await changed.import('steps/a.ts'))['a'], 3)
})

test('a project that cannot be written to is loaded all the same', async (t) => {
  const { root } = place(t, { 'steps/a.ts': '' })
  writeFileSync(join(root, '.headwater'), 'a file where the folder would be')
  const project = new Project(loadOf(root, { 'steps/a.ts': 'export const a = 1' }), new SourceMaps())
  assert.equal((await project.import('steps/a.ts'))['a'], 1)
  assert(!existsSync(join(root, '.headwater/cache')))
})
