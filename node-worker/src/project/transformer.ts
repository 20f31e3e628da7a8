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
  readonly number: number
  readonly source: string
  readonly options: object
}

/** Tells which question it answers: one may come after nobody waits for it any more. */
type Answer = { readonly number: number } & ({ readonly made: Made } | { readonly error: string })

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
  #asked = 0

  /**
   * Transform a source now, within `patience` milliseconds. Throws an `Error` whose message is the transformer's.
   */
  run(source: string, options: object, patience = PATIENCE): Made {
    const port = this.#port ?? this.#start()
    clearTimeout(this.#rest)
    this.#rest = setTimeout(() => this.release(), IDLE_AFTER).unref()
    const number = ++this.#asked
    port.postMessage({ number, source, options } satisfies Question)
    const answer = this.#wait(port, number, performance.now() + patience)
    if (answer === undefined) throw new Error('The transformer does not answer.')
    if ('error' in answer) throw new Error(answer.error)
    return answer.made
  }

  /** The answer to that question; undefined when its time is up. Late answers to others are dropped. */
  #wait(port: MessagePort, number: number, until: number): Answer | undefined {
    for (;;) {
      // Looked at first: whatever is answered from now on changes it.
      const answered = Atomics.load(this.#answered, 0)
      const answer = receiveMessageOnPort(port)?.message as Answer | undefined
      if (answer?.number === number) return answer
      if (answer !== undefined) continue
      if (Atomics.wait(this.#answered, 0, answered, until - performance.now()) === 'timed-out') return undefined
    }
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
  port.on('message', ({ number, source, options }: Question) => {
    port.postMessage({ number, ...answerTo(swc, source, options) } satisfies Answer)
    Atomics.add(flag, 0, 1)
    Atomics.notify(flag, 0)
  })
  parentPort?.unref()
}

function answerTo(swc: Swc, source: string, options: object): { made: Made } | { error: string } {
  try {
    const { code, map } = swc.transformSync(source, options)
    return { made: map === undefined ? { code } : { code, map } }
  } catch (error) {
    return { error: String((error as { message?: unknown } | null)?.message ?? error) }
  }
}
