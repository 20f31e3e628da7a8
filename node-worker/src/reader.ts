/**
 * The thread that reads the socket. Owns reading, the slots of invocations, who gets which message, and the
 * process's death at end of file. It runs no user code and never waits for a thread that does.
 */

import { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

import { Channel, desert, die } from './channel.ts'
import { Decoder, ProtocolFault, type Frame, type Header } from './frames.ts'
import { Lanes } from './lanes.ts'
import { LEAVE_WITHIN, lifespanFile } from './lifespan.ts'
import { buffersOf, LANES, packSection, type Gone, type Left, type Packed, type ReaderParts, type ToLoop } from './posts.ts'
import { Shared } from './shared.ts'
import { Slots, type Owner } from './slots.ts'
import { Watchdog } from './watchdog.ts'

/** Milliseconds between looks whether a draining process has become idle, and between tries to reply. */
const RETRY_AFTER = 2

/** Milliseconds between looks whether something that invocations left running goes on. */
const LOOK_EVERY = 50

/** Milliseconds that the loop of user code gets to end the process itself. */
const END_GRACE = 1000

/** Milliseconds that a thread gets to tell that it has left the lifespan, or why not. */
const LEAVE_GRACE = 500

const parts = workerData as ReaderParts
const shared = new Shared(parts.memory)
const channel = new Channel({ ...parts, shared })
const slots = new Slots(shared)
const lanes = new Lanes(parts, shared, (slot, error) => {
  const invocation = slots.ownerOf(slot)
  shared.free(slot)
  if (invocation === undefined) return
  const { id, step, trace } = invocation
  // Nobody waits for what was cancelled: the log alone can tell.
  if (error['cancelled'] === true) {
    reply({ t: 'log', level: 'warn', message: error.message, fields: {}, invocation: id, step, trace })
  }
  reply({ t: 'result', id, ok: false, error })
})
const watchdog = new Watchdog(shared, parts.blockAfter, {
  isBusy: () => slots.anyBusy(),
  probe: (probe) => tellMain({ kind: 'probe', probe }),
  blocked: sayBlocked,
})

/** Whether the project has a lifespan. */
let hasLifespan = false

const blocked = new WeakSet<Owner>()

function sayBlocked(slot: number, seconds: number): void {
  const invocation = slots.ownerOf(slot)
  if (invocation === undefined || blocked.has(invocation)) return
  blocked.add(invocation)
  reply({ t: 'blocked', id: invocation.id, step: invocation.step, seconds })
}

function tellMain(message: ToLoop): void {
  parentPort?.postMessage(message)
}

/** The same without a copy of what is large: this thread keeps nothing of it. */
function giveMain(post: Packed): void {
  parentPort?.postMessage(post satisfies ToLoop, buffersOf(post))
}

// --- messages ---

const TAKERS: Record<string, (frame: Frame) => void> = {
  load(frame) {
    lanes.load = [-1, frame.text, ...frame.sections.map(sharedCopy)]
    tellMain(lanes.load)
    const files = frame.header['files'] as { readonly path: string }[]
    hasLifespan = lifespanFile(files.map(({ path }) => path)) !== undefined
  },
  streams(frame) {
    lanes.streams = frame.header['names'] as string[]
    lanes.tellAll(pack(frame))
    tellMain(pack(frame))
  },
  invoke: takeInvocation,
  result(frame) {
    const lane = (frame.header['id'] as number) % LANES
    if (lane === 0) giveMain(pack(frame))
    else lanes.tell(lane, pack(frame))
  },
  withdraw(frame) {
    const slot = slots.slotOf(frame.header['id'] as number)
    const given = slot !== undefined && takeBack(slot)
    reply({ t: 'withdrawn', id: frame.header['id'], ok: given })
  },
  cancel: takeCancel,
  ping: (frame) => tellMain(pack(frame)),
  drain: (frame) => drain((frame.header['linger'] as number | null | undefined) ?? 0),
  end: endNow,
}

function takeInvocation(frame: Frame): void {
  const { id, step, trace, thread } = frame.header as unknown as Owner & { thread: boolean }
  const slot = slots.take({ id, step, trace })
  if (slot === undefined) {
    const error = { code: 'OVERLOADED', message: 'The worker holds as many invocations as it can.' }
    reply({ t: 'result', id, ok: false, error })
  } else if (thread) {
    lanes.give(pack(frame, slot))
  } else {
    watchdog.wake()
    giveMain(pack(frame, slot))
  }
}

function takeCancel(frame: Frame): void {
  const { id, patience } = frame.header as unknown as { id: number; patience?: number }
  const slot = slots.slotOf(id)
  if (slot === undefined) return
  if (takeBack(slot)) {
    const message = 'It was cancelled before it started.'
    reply({ t: 'result', id, ok: false, error: { code: 'HANDLER_FAILED', message, cancelled: true } })
  } else if (shared.isRunning(slot) && !lanes.cancel(slot, pack(frame, slot), patience)) {
    tellMain(pack(frame, slot))
  }
}

/** Take back what has not begun; false if it is too late. Whoever finds it in a queue frees its slot. */
function takeBack(slot: number): boolean {
  const taken = shared.takeBack(slot)
  if (taken && lanes.forget(slot)) shared.free(slot)
  return taken
}

/** End after the last invocation, and after what they left running, but at most `linger` seconds later. */
function drain(linger: number): void {
  const timer = setInterval(() => {
    if (slots.anyBusy() || replies.length > 0) return
    clearInterval(timer)
    if (linger > 0) waitForTheRest(performance.now() + linger * 1000)
    else void leave()
  }, RETRY_AFTER)
}

/** Whose it is, nobody knows here: only that the loop of a thread goes on. */
function waitForTheRest(until: number): void {
  let left: readonly string[] = ['a loop that is held']
  parentPort?.on('message', (message: Left | Gone) => {
    if (message.kind === 'left') left = message.resources
  })
  lanes.rest()
  tellMain({ kind: 'linger' })
  const timer = setInterval(() => {
    const threads = lanes.count === 0 ? [] : [`${lanes.count} threads`]
    const all = [...left, ...threads]
    if (all.length > 0 && performance.now() < until) return
    clearInterval(timer)
    if (all.length > 0) {
      const message = `What went on after its invocation was ended with its worker: ${all.join(', ')}`
      reply({ t: 'log', level: 'warn', message, fields: {}, invocation: null, trace: '', step: '' })
    }
    void leave()
  }, LOOK_EVERY)
}

/** Let all threads leave the project's lifespan, for a while, and end. */
async function leave(): Promise<void> {
  if (hasLifespan) {
    const main = new Promise<void>((left) => {
      parentPort?.on('message', (message: Left | Gone) => message.kind === 'gone' && left())
    })
    tellMain({ kind: 'leave' })
    const late = new Promise<void>((over) => setTimeout(over, LEAVE_WITHIN + LEAVE_GRACE))
    await Promise.race([Promise.all([main, lanes.leave()]), late])
  }
  end(0)
}

/** The server waits no longer. */
function endNow(): void {
  for (const { id, step, trace } of slots.busy()) {
    const message = 'An invocation was ended with its worker'
    reply({ t: 'log', level: 'warn', message, fields: {}, invocation: id, trace, step })
  }
  // Another thread may be writing just now; one that is stuck in it is not waited for.
  const until = performance.now() + END_GRACE
  const timer = setInterval(() => {
    if (replies.length > 0 && performance.now() < until) return
    clearInterval(timer)
    end(1)
  }, RETRY_AFTER)
}

function pack(frame: Frame, slot = -1): Packed {
  return [slot, frame.text, ...frame.sections.map(packSection)]
}

/** Sources are kept for every lane to come: all threads look at the same bytes. */
function sharedCopy(section: Buffer): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(section.length))
  bytes.set(section)
  return bytes
}

// --- replies ---

const replies: Header[] = []

/** Write a message soon: the thread that has the lock may wait for a server that waits for this thread. */
function reply(header: Header): void {
  replies.push(header)
  if (replies.length === 1) flush()
}

function flush(): void {
  while (replies.length > 0) {
    if (!channel.trySend(replies[0] as Header)) {
      setTimeout(flush, RETRY_AFTER)
      return
    }
    replies.shift()
  }
}

// --- the end ---

function end(status: number): void {
  tellMain({ kind: 'end', status })
  setTimeout(die, END_GRACE)
}

// --- reading ---

const decoder = new Decoder(parts.limit)
const socket = new Socket({ fd: parts.fd, readable: true, writable: false, allowHalfOpen: true })

socket.on('data', (chunk: Buffer) => {
  try {
    for (const frame of decoder.feed(chunk)) (TAKERS[frame.header.t] as (frame: Frame) => void)(frame)
  } catch (error) {
    const said = error instanceof ProtocolFault ? error.message : String((error as Error).stack ?? error)
    process.stderr.write(`headwater worker: ${said}\n`)
    socket.destroy()
    end(1)
  }
})
socket.on('end', desert)
socket.on('error', desert)
