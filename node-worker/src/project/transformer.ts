/**
 * The transformer, in a thread of its own: its WebAssembly takes some 70 MB, which go with the thread when the
 * project is loaded. Owns the thread and asking it synchronously, as `require` needs it.
 */

import { createRequire } from 'node:module'
import {
  MessageChannel, parentPort, receiveMessageOnPort, Worker, workerData, type MessagePort,
} from 'node:worker_threads'

/** What a source becomes. */
export interface Made {
  readonly code: string
  readonly map?: string
}

interface Swc {
  transformSync(source: string, options: object): Made
}

interface Question {
  readonly source: string
  readonly options: object
}

type Answer = { readonly made: Made } | { readonly error: string }

interface ThreadParts {
  readonly port: MessagePort
  readonly answered: SharedArrayBuffer
}

/** How long the thread is kept when nobody asks, in milliseconds. */
const IDLE_AFTER = 5000

/** How long an answer may take before the thread counts as lost, in milliseconds. */
const PATIENCE = 60_000

export class Transformer {
  #thread: Worker | undefined
  #port: MessagePort | undefined
  #answered = new Int32Array(new SharedArrayBuffer(4))
  #rest: NodeJS.Timeout | undefined

  /** Transform a source now. Throws an `Error` whose message is the transformer's. */
  run(source: string, options: object): Made {
    const port = this.#port ?? this.#start()
    clearTimeout(this.#rest)
    this.#rest = setTimeout(() => this.release(), IDLE_AFTER).unref()
    const before = Atomics.load(this.#answered, 0)
    port.postMessage({ source, options } satisfies Question)
    const waited = Atomics.wait(this.#answered, 0, before, PATIENCE)
    const answer = receiveMessageOnPort(port)?.message as Answer | undefined
    if (waited === 'timed-out' || answer === undefined) throw new Error('The transformer does not answer.')
    if ('error' in answer) throw new Error(answer.error)
    return answer.made
  }

  /** Let the thread go; the next source starts another. */
  release(): void {
    clearTimeout(this.#rest)
    void this.#thread?.terminate()
    this.#thread = this.#port = undefined
  }

  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel()
    this.#answered = new Int32Array(new SharedArrayBuffer(4))
    const parts: ThreadParts = { port: port2, answered: this.#answered.buffer as SharedArrayBuffer }
    const program = new URL('./transformer.mjs', import.meta.url)
    this.#thread = new Worker(program, { workerData: parts, transferList: [port2] })
    this.#thread.unref()
    port1.unref()
    this.#port = port1
    return port1
  }
}

/** What the thread does. */
export function answer(): void {
  const { port, answered } = workerData as ThreadParts
  const flag = new Int32Array(answered)
  const swc = createRequire(import.meta.url)('./swc/wasm.js') as Swc
  port.on('message', ({ source, options }: Question) => {
    port.postMessage(answerTo(swc, source, options))
    Atomics.add(flag, 0, 1)
    Atomics.notify(flag, 0)
  })
  parentPort?.unref()
}

function answerTo(swc: Swc, source: string, options: object): Answer {
  try {
    const { code, map } = swc.transformSync(source, options)
    return { made: map === undefined ? { code } : { code, map } }
  } catch (error) {
    return { error: String((error as { message?: unknown } | null)?.message ?? error) }
  }
}
