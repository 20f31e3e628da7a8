/**
 * The frames of `spec/WORKER.md`: messages to bytes, bytes to messages, what each message must hold.
 * Owns framing and the incremental decoder; knows no socket and no thread.
 */

import { HeadwaterError } from './errors.ts'

/** The version of the protocol, told in `hello`. */
export const PROTOCOL = 2

export const DEFAULT_LIMIT = 64 * 1024 * 1024

/** Frames whose sections have at most this many bytes are one buffer; larger sections are not copied. */
const JOIN_BELOW = 128 * 1024

export interface Header {
  readonly t: string
  readonly [member: string]: unknown
}

/** One frame from the server: its header, also as the JSON text that came, and its sections. */
export interface Frame {
  readonly header: Header
  readonly text: string
  readonly sections: readonly Buffer[]
}

/** The server broke the protocol: it cannot be trusted to be in step. */
export class ProtocolFault extends Error {}

type Kind = 'integer' | 'text' | 'flag' | 'list' | 'object'

const RULES: Record<string, Record<string, Kind>> = {
  load: { generation: 'integer', root: 'text', folders: 'list', files: 'list' },
  streams: { names: 'list' },
  invoke: {
    id: 'integer', kind: 'text', file: 'text', step: 'text', trace: 'text', flows: 'list', thread: 'flag',
  },
  result: { id: 'integer', ok: 'flag' },
  withdraw: { id: 'integer' },
  cancel: { id: 'integer' },
  ping: { n: 'integer' },
  drain: {},
  end: {},
}

const CHECKS: Record<Kind, (value: unknown) => boolean> = {
  integer: Number.isInteger,
  text: (value) => typeof value === 'string',
  flag: (value) => typeof value === 'boolean',
  list: Array.isArray,
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

function check(header: Header, sections: number): void {
  const rules = Object.hasOwn(RULES, header.t) ? RULES[header.t] : undefined
  if (rules === undefined) throw new ProtocolFault(`a message of unknown type ${String(header.t).slice(0, 80)}`)
  for (const member in rules) {
    if (!CHECKS[rules[member] as Kind](header[member])) {
      throw new ProtocolFault(`a "${header.t}" message has a bad member "${member}"`)
    }
  }
  const value = header['value_section']
  if (value !== undefined && !(Number.isInteger(value) && (value as number) < sections && (value as number) >= 0)) {
    throw new ProtocolFault(`a "${header.t}" message points at a section that it does not have`)
  }
}

/**
 * The buffers of one frame, to be written one after the other. Throws `HeadwaterError` TOO_LARGE where the
 * frame would pass the limit.
 */
export function encode(header: Header, sections: readonly Uint8Array[], limit: number): Buffer[] {
  const told = sections.length === 0 ? header : { ...header, sections: sections.map((one) => one.byteLength) }
  const text = wellFormedJson(JSON.stringify(told))
  const head = Buffer.byteLength(text)
  let carried = 0
  for (const section of sections) carried += section.byteLength
  const size = 4 + head + carried
  if (size > limit) throw tooLarge(size, limit)
  const joined = carried <= JOIN_BELOW
  const buffer = Buffer.allocUnsafe(8 + head + (joined ? carried : 0))
  buffer.writeUInt32BE(size, 0)
  buffer.writeUInt32BE(head, 4)
  buffer.write(text, 8)
  if (!joined) return [buffer, ...sections.map(asBuffer)]
  let at = 8 + head
  for (const section of sections) {
    buffer.set(section, at)
    at += section.byteLength
  }
  return [buffer]
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function tooLarge(size: number, limit: number): HeadwaterError {
  return new HeadwaterError({
    code: 'TOO_LARGE',
    message: `A message of ${size} bytes passes the limit of ${limit} between server and worker.`,
    hint: 'Raise workers.max_frame_bytes, or send less at once.',
    limit,
    size,
  })
}

const LONE_SURROGATE = /\\ud[89a-f]/
const ESCAPE = /\\(u[0-9a-f]{4}|.)/g

/** `JSON.stringify` writes a lone surrogate as an escape, which no other parser takes; it becomes U+FFFD. */
export function wellFormedJson(text: string): string {
  if (!LONE_SURROGATE.test(text)) return text
  return text.replace(ESCAPE, (escape) => (LONE_SURROGATE.test(escape) ? '\ufffd' : escape))
}

/** Bytes in, checked frames out. After a fault it is of no more use. */
export class Decoder {
  readonly #limit: number
  #chunks: Buffer[] = []
  #held = 0
  #wanted = 4

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Take the next bytes and give the frames that they complete, in order. Throws `ProtocolFault`. */
  *feed(chunk: Buffer): Generator<Frame> {
    this.#chunks.push(chunk)
    this.#held += chunk.length
    // A large frame comes in many chunks: they are joined once, when it is whole.
    if (this.#held < this.#wanted) return
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#held)
    while ((this.#wanted = this.#sizeOf(bytes)) <= bytes.length) {
      const frame = parse(bytes.subarray(4, this.#wanted))
      bytes = bytes.subarray(this.#wanted)
      yield frame
    }
    // A copy: what is left of a chunk must not keep the whole of it.
    this.#chunks = bytes.length === 0 ? [] : [Buffer.from(bytes)]
    this.#held = bytes.length
  }

  #sizeOf(bytes: Buffer): number {
    if (bytes.length < 4) return 4
    const size = bytes.readUInt32BE(0)
    if (size < 4 || size > this.#limit) {
      throw new ProtocolFault(`a frame of ${size} bytes is outside the limits of 4 to ${this.#limit}`)
    }
    return 4 + size
  }
}

function parse(bytes: Buffer): Frame {
  const head = bytes.readUInt32BE(0)
  if (4 + head > bytes.length) throw new ProtocolFault("a frame's header is longer than the frame")
  const text = bytes.toString('utf8', 4, 4 + head)
  const header = parseHeader(text)
  const sections = cut(bytes.subarray(4 + head), header['sections'])
  check(header, sections.length)
  return { header, text, sections }
}

function parseHeader(text: string): Header {
  let header: unknown
  try {
    header = JSON.parse(text)
  } catch (error) {
    throw new ProtocolFault(`a frame's header is not JSON: ${(error as Error).message}`)
  }
  if (!CHECKS.object(header)) throw new ProtocolFault("a frame's header is not an object")
  return header as Header
}

function cut(bytes: Buffer, lengths: unknown): Buffer[] {
  const wanted = lengths ?? []
  if (!Array.isArray(wanted)) throw new ProtocolFault("a frame's section lengths are not a list")
  let at = 0
  const sections = wanted.map((length: unknown) => {
    if (!Number.isInteger(length) || (length as number) < 0 || at + (length as number) > bytes.length) {
      throw new ProtocolFault("a frame's section lengths do not add up")
    }
    const section = bytes.subarray(at, at + (length as number))
    at += length as number
    return section
  })
  if (at !== bytes.length) throw new ProtocolFault("a frame's section lengths do not add up")
  return sections
}
