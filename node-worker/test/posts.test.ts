import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import test from 'node:test'

import { buffersOf, contentOf, packSection, unpack, type Packed } from '../src/posts.ts'

test('a short section is text where it is UTF-8, and bytes where it is not', () => {
  assert.equal(packSection(Buffer.from('grüße')), 'grüße')
  assert.deepEqual(packSection(Buffer.from([255])), new Uint8Array([255]))
})

test('a long section is decoded by the thread that reads it, not on the way', () => {
  const text = 'é'.repeat(1_000_000)
  const section = packSection(Buffer.from(text))
  assert.ok(section instanceof Uint8Array)
  assert.equal(contentOf(section), text)
})

test('bytes that are no text stay bytes, however many', () => {
  for (const length of [10, 1_000_000]) {
    const content = contentOf(packSection(Buffer.alloc(length, 255)))
    assert.ok(Buffer.isBuffer(content) && content.length === length && !isUtf8(content))
  }
})

test('a long section goes with the post, and nothing of a chunk that it came in', () => {
  const chunk = Buffer.alloc(1_000_000, 'x')
  const packed: Packed = [1, '{"t":"invoke"}', packSection(Buffer.from('short')), packSection(chunk.subarray(0, 100_000))]
  const buffers = buffersOf(packed)
  assert.deepEqual(buffers.map((buffer) => buffer.byteLength), [100_000])
  const post = unpack(structuredClone(packed, { transfer: buffers }))
  assert.deepEqual(post.sections.map((section) => contentOf(section).length), [5, 100_000])
})
