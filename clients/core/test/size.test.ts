import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

import { build } from 'esbuild'
import { expect, test } from 'vitest'

// Writing, and what it shows before the server has it, is 3 KB of it: docs/decisions/0033-what-a-page-pays.md.
const LIMIT = 13.5 * 1024

const bundled = async (contents: string) => {
  const result = await build({
    stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    format: 'esm',
    minify: true,
    write: false,
    logLevel: 'silent',
  })
  return result.outputFiles[0]!.text
}

test('all of the client is below 13.5 KB, compressed', async () => {
  const served = readFileSync(new URL('../../../src/headwater/browser/dist/client.js', import.meta.url))
  expect(gzipSync(served, { level: 9 }).length).toBeLessThan(LIMIT)
})

test('what a page does not use is left out', async () => {
  expect(await bundled(`import { connect } from '../src/index.ts'; connect()`)).not.toContain('subscribeGroup')
  expect((await bundled(`import '../src/index.ts'`)).length).toBe(0)
})

test('the client needs nothing beside it', async () => {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  expect([dependencies, peerDependencies]).toEqual([undefined, undefined])
})
