/** The process that runs TypeScript and JavaScript user code, from its start to its end. Owns the main thread. */

import { Worker } from 'node:worker_threads'

import { DEFAULT_LIMIT, PROTOCOL } from './frames.ts'
import { declare, LANGUAGE } from './declaring.ts'
import { Loop } from './loop.ts'
import { isPacked, unpack, type Gone, type Left, type Post, type ReaderParts, type ToLoop } from './posts.ts'
import { Shared } from './shared.ts'

const FD = 'HEADWATER_WORKER_FD'
const LIMIT = 'HEADWATER_MAX_FRAME_BYTES'
const BLOCK_AFTER = 'HEADWATER_BLOCK_AFTER'
/** Concerns Python alone. */
const STATE_DATA = 'HEADWATER_STATE_DATA'

/** Seconds that an invocation may hold the loop, where the server says nothing. */
const DEFAULT_BLOCK_AFTER = '0.1'

/** Milliseconds between looks at what keeps the loop going. */
const LOOK_EVERY = 50

const exit = process.exit.bind(process)

function takeVariable(name: string): string | undefined {
  const value = process.env[name]
  delete process.env[name]
  return value
}

function main(): void {
  const fd = Number(takeVariable(FD))
  if (!Number.isInteger(fd) || fd <= 0) {
    console.error(`${FD} is not set: the server starts workers, people do not.`)
    exit(1)
  }
  const limit = Number(takeVariable(LIMIT) ?? DEFAULT_LIMIT)
  const blockAfter = Number(takeVariable(BLOCK_AFTER) ?? DEFAULT_BLOCK_AFTER) * 1000
  takeVariable(STATE_DATA)
  const parts: ReaderParts = { fd, limit, blockAfter, memory: new Shared().buffer }
  const loop = new Loop(parts, 0)
  loop.channel.send({
    t: 'hello', protocol: PROTOCOL, language: LANGUAGE, language_version: process.versions.node, pid: process.pid,
    lanes: true,
  })
  // Ctrl-C goes to the whole group of a terminal; the server decides what it means.
  process.on('SIGINT', () => undefined)
  loop.settle()
  loop.showHolder()
  const reader = new Worker(new URL('./reader.mjs', import.meta.url), { workerData: parts })
  reader.on('message', (message: ToLoop) => take(loop, reader, message))
  reader.on('error', (error) => {
    process.stderr.write(`headwater worker: ${String(error.stack)}\n`)
    exit(1)
  })
}

function take(loop: Loop, reader: Worker, message: ToLoop): void {
  if (isPacked(message)) {
    const post = unpack(message)
    if (post.header.t === 'load') void load(loop, post)
    else loop.take(post)
  } else if (message.kind === 'probe') {
    loop.shared.answerProbe(message.probe)
  } else if (message.kind === 'linger') {
    linger(loop, reader)
  } else if (message.kind === 'leave') {
    void loop.leave().then(() => reader.postMessage({ kind: 'gone' } satisfies Gone))
  } else {
    exit(message.status)
  }
}

/** Tell the reader again and again what invocations left running; the lifespan is left once nothing needs it. */
function linger(loop: Loop, reader: Worker): void {
  let isLeaving = false
  setInterval(() => {
    const resources = loop.left()
    if (loop.isEntered && !isLeaving && loop.mayLeave()) {
      isLeaving = true
      void loop.leave().finally(() => (isLeaving = false))
    }
    if (isLeaving) resources.push('the lifespan')
    reader.postMessage({ kind: 'left', resources } satisfies Left)
  }, LOOK_EVERY).unref()
}

async function load(loop: Loop, post: Post): Promise<void> {
  const { generation, root } = post.header as unknown as { generation: number; root: string }
  process.chdir(root)
  const project = loop.load(post)
  const declared = await declare(project, (file) => loop.channel.send({ t: 'loading', file }))
  project.settle()
  loop.settleLoop()
  loop.channel.send({ t: 'manifest', generation, ...declared })
}

main()
