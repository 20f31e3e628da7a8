// POST /rooms/:room/messages/:id/again: has an answer written anew, such as one that failed.

import { ApiRouteConfig, Handlers } from 'headwater'
import { haveAnswered } from '../asking'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'AskAgain',
  method: 'POST',
  path: '/rooms/:room/messages/:id/again',
  emits: ['question.asked'],
}

export const handler: Handlers['AskAgain'] = async (req, ctx) => {
  const { room, id } = req.pathParams as { room: string; id: string }
  const answer = await ctx.streams.messages.get(room, id)
  if (answer?.role !== 'assistant') return { status: 404, body: { detail: 'There is no such answer.' } }
  if (answer.status === 'waiting' || answer.status === 'streaming') {
    return { status: 409, body: { detail: 'It is being answered already.' } }
  }
  return { status: 202, body: await haveAnswered(ctx, room, id) }
}
