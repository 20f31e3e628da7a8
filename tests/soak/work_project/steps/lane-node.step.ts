import { setTimeout } from 'node:timers/promises'
import { Attempt } from '../record'

export const config = {
  type: 'event',
  name: 'LaneNode',
  subscribes: ['lane'],
  emits: [],
  infrastructure: { queue: { type: 'fifo', maxRetries: 5, concurrency: 4 } },
}

export const handler = async (input: any, ctx: any) => {
  const attempt = new Attempt('LaneNode', input.label, ctx.attempt)
  for (let beat = 0; beat < input.beats && !ctx.signal.aborted; beat++) {
    await setTimeout(20)
    if (!ctx.signal.aborted) attempt.say('beat')
  }
  ctx.signal.throwIfAborted()
  if (ctx.attempt <= input.fails) throw new Error('as asked')
  attempt.say('end')
}
