// POST /chat-messages/:channel/:message/likes: a TypeScript step that writes the stream of `reactions_stream.py`.

import { ApiRouteConfig, Handlers } from 'headwater'
import { z } from 'zod'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'LikeChatMessage',
  method: 'POST',
  path: '/chat-messages/:channel/:message/likes',
  bodySchema: z.object({ user_id: z.string().min(1).max(40) }),
  emits: [],
}

export const handler: Handlers['LikeChatMessage'] = async (req, { streams, logger }) => {
  const { channel, message } = req.pathParams
  if ((await streams.chatMessage.get(channel, message)) === null) {
    return { status: 404, body: { error: 'There is no such message.' } }
  }
  logger.info('a message is liked', { channel, message })
  // The first like makes the item; who comes second in that just goes on.
  await streams.reactions.set(channel, message, { likes: 0, by: [] }, { ifVersion: 0 }).catch((error) => {
    if (error.code !== 'CONFLICT') throw error
  })
  // One write, which nobody else's can come between.
  const reactions = await streams.reactions.update(channel, message, [
    { type: 'increment', path: 'likes' },
    { type: 'append', path: 'by', value: req.body.user_id },
  ])
  return { status: 200, body: reactions }
}
