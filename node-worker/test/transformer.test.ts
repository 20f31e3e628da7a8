import assert from 'node:assert/strict'
import test from 'node:test'

import { Transformer } from '../src/project/transformer.ts'

const OPTIONS = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }

test('an answer that comes too late is not taken for that of the next source', (t) => {
  const transformer = new Transformer()
  t.after(() => transformer.release())
  // Nothing answers at once: the thread must start first.
  assert.throws(() => transformer.run('export const early: number = 1', OPTIONS, 0), /does not answer/)
  assert.throws(() => transformer.run('export const second: number = 2', OPTIONS, 0), /does not answer/)
  assert.match(transformer.run('export const late: number = 3', OPTIONS).code, /const late = 3/)
})

test('a source that cannot be read says so, and the next is answered', (t) => {
  const transformer = new Transformer()
  t.after(() => transformer.release())
  assert.throws(() => transformer.run('const = 1', OPTIONS))
  assert.match(transformer.run('const one: number = 1', OPTIONS).code, /const one = 1/)
})
