import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

import { HeadwaterError } from '../src/errors.ts'
import { Decoder, encode, ProtocolFault, wellFormedJson, type Frame } from '../src/frames.ts'

interface Golden {
  name: string
  bytes: string
  sender: string
  header: object
  sections: string[]
}

const fixtures = JSON.parse(readFileSync(join(process.cwd(), '../spec/fixtures/worker-frames.json'), 'utf8')) as {
  frames: Golden[]
  refused: { name: string; bytes: string; sender: string }[]
}
const LIMIT = 1024 * 1024

function decode(bytes: Buffer, step = bytes.length): Frame[] {
  const decoder = new Decoder(LIMIT)
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; at += step) frames.push(...decoder.feed(bytes.subarray(at, at + step)))
  return frames
}

for (const golden of fixtures.frames.filter((frame) => frame.sender === 'server')) {
  test(`a golden frame is read, whole or in pieces: ${golden.name}`, () => {
    const bytes = Buffer.from(golden.bytes, 'hex')
    for (const step of [1, 3, 7, bytes.length]) {
      const [frame] = decode(bytes, step)
      const { sections: _, ...header } = frame?.header as unknown as Record<string, unknown>
      assert.deepEqual(header, golden.header)
      assert.deepEqual(frame?.sections.map((section) => section.toString('hex')), golden.sections)
    }
  })
}

for (const golden of fixtures.frames.filter((frame) => frame.sender === 'worker')) {
  test(`a golden frame is written: ${golden.name}`, () => {
    const sections = golden.sections.map((section) => Buffer.from(section, 'hex'))
    const written = Buffer.concat(encode(golden.header as never, sections, LIMIT))
    assert.equal(written.toString('hex'), golden.bytes)
  })
}

for (const refused of fixtures.refused.filter((frame) => frame.sender === 'server')) {
  test(`a frame that breaks the protocol is refused: ${refused.name}`, () => {
    assert.throws(() => decode(Buffer.from(refused.bytes, 'hex')), ProtocolFault)
  })
}

test('frames before a broken one come out first', () => {
  const good = Buffer.concat(encode({ t: 'ping', n: 1 }, [], LIMIT))
  const decoder = new Decoder(LIMIT)
  const frames = decoder.feed(Buffer.concat([good, Buffer.from('00000001', 'hex')]))
  assert.deepEqual(frames.next().value?.header, { t: 'ping', n: 1 })
  assert.throws(() => frames.next(), ProtocolFault)
})

test('what would pass the limit is refused before a byte is written', () => {
  assert.throws(
    () => encode({ t: 'log' }, [Buffer.alloc(100)], 100),
    (error) => error instanceof HeadwaterError && error.code === 'TOO_LARGE',
  )
})

test('large sections are not copied', () => {
  const section = Buffer.alloc(200_000)
  const buffers = encode({ t: 'call' }, [section], LIMIT)
  assert.equal(buffers.length, 2)
  assert.equal(buffers[1]?.buffer, section.buffer)
})

test('lone surrogates become U+FFFD, pairs and escaped backslashes stay', () => {
  const value = { a: 'x\ud800y', b: '\\ud800', c: '\ud83d\ude00', '\udfff': 1 }
  const read = JSON.parse(wellFormedJson(JSON.stringify(value)))
  assert.deepEqual(read, { a: 'x\ufffdy', b: '\\ud800', c: '\ud83d\ude00', '\ufffd': 1 })
})
