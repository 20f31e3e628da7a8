import { setTimeout } from 'node:timers/promises'
import { Attempt } from '../record'

export const config = {
  type: 'event',
  name: 'Node',
  subscribes: ['std'],
  emits: [],
  infrastructure: { queue: { maxRetries: 5 } },
}

export const handler = async (input: any, ctx: any) => {
  const attempt = new Attempt('Node', input.label, ctx.attempt)
  await ctx.step('once', async () => {
    attempt.say('step')
    return null
  })
  attempt.say('kept')
  for (let beat = 0; beat < input.beats && !ctx.signal.aborted; beat++) {
    await setTimeout(20)
    if (!ctx.signal.aborted) attempt.say('beat')
  }
  ctx.signal.throwIfAborted()
  if (ctx.attempt <= input.fails) throw new Error('as asked')
  attempt.say('end')
}
