/** A thread for code that blocks, with a loop and module instances of its own. */

import { parentPort, workerData } from 'node:worker_threads'

import { Loop } from './loop.ts'
import { isPacked, unpack, type FromLane, type LaneParts, type ToLoop } from './posts.ts'

/** Milliseconds between looks whether something goes on that may need the lifespan. */
const LOOK_EVERY = 50

const parts = workerData as LaneParts
const loop = new Loop(parts, parts.lane, (slot) => tell({ kind: 'done', slot }))
let resting: NodeJS.Timeout | undefined

function tell(message: FromLane): void {
  parentPort?.postMessage(message)
}

loop.settle()
loop.load(unpack(parts.load))
if (parts.streams !== null) loop.take({ header: { t: 'streams', names: parts.streams }, sections: [], slot: -1 })

parentPort?.on('message', (message: ToLoop) => {
  if (isPacked(message)) {
    wake()
    loop.take(unpack(message))
  } else if (message.kind === 'leave') {
    void loop.leave().then(() => tell({ kind: 'left' }))
  } else if (message.kind === 'end') {
    rest()
  }
})

function wake(): void {
  clearInterval(resting)
  parentPort?.ref()
}

/**
 * The thread ends by itself once nothing that user code left running needs it; until then it may be given work. What
 * the lifespan holds would keep it going: it is left before.
 */
function rest(): void {
  parentPort?.unref()
  if (!loop.isEntered) return
  clearInterval(resting)
  resting = setInterval(() => {
    if (!loop.mayLeave(['Timeout'])) return
    clearInterval(resting)
    void loop.leave()
  }, LOOK_EVERY)
}
