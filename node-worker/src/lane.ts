/** A thread for code that blocks, with a loop and module instances of its own. */

import { parentPort, workerData } from 'node:worker_threads'

import { Loop } from './loop.ts'
import { isPacked, unpack, type FromLane, type LaneParts, type ToLoop } from './posts.ts'

const parts = workerData as LaneParts
const loop = new Loop(parts, parts.lane, (slot) => parentPort?.postMessage({ kind: 'done', slot } satisfies FromLane))

loop.settle()
loop.load(unpack(parts.load))
if (parts.streams !== null) loop.take({ header: { t: 'streams', names: parts.streams }, sections: [], slot: -1 })

parentPort?.on('message', (message: ToLoop) => {
  if (isPacked(message)) {
    parentPort?.ref()
    loop.take(unpack(message))
  } else if (message.kind === 'end') {
    // The thread ends by itself once nothing that user code left running needs it; until then it may be given work.
    parentPort?.unref()
  }
})
