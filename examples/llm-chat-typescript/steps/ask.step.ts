// POST /rooms/:room/messages: asks a question. It is answered by another step; this one is done at once.

import { ApiRouteConfig, Handlers } from 'headwater'
import { z } from 'zod'
import { haveAnswered } from '../asking'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'Ask',
  method: 'POST',
  path: '/rooms/:room/messages',
  emits: ['question.asked'],
  bodySchema: z.object({ text: z.string().regex(/\S/).max(8000) }),
}

export const handler: Handlers['Ask'] = async (req, ctx) => {
  const room = req.pathParams.room!
  const text = req.body.text.trim()
  const at = new Date().toISOString()
  const known = await ctx.streams.rooms.get('all', room)
  await ctx.streams.rooms.set('all', room, { title: known?.title ?? text.slice(0, 80), asked: at })
  await ctx.streams.messages.set(room, crypto.randomUUID(), { role: 'user', text, at, status: 'done' })
  return { status: 202, body: await haveAnswered(ctx, room, crypto.randomUUID()) }
}
