// Leaves a promise running that writes after the answer.
import type { Handlers } from 'headwater'
import { setTimeout } from 'node:timers/promises'

export const config = { type: 'api', name: 'Late', path: '/late', method: 'POST', emits: [] }

async function writeLater(ctx, data) {
  await setTimeout((data.seconds ?? 0.05) * 1000)
  await ctx.streams.chat.set('general', 'late', data)
  ctx.logger.info('written late')
}

export const handler: Handlers['Late'] = async (req, ctx) => {
  if (req.body.pretend) ctx.auth.user = req.auth.user = req.body.pretend
  void writeLater(ctx, req.body)
  return { status: 202, body: 'soon' }
}
