// POST /chat-messages: puts a message into a channel. All who subscribe to the channel see it at once.

import { ApiRouteConfig, Handlers } from 'headwater'
import { z } from 'zod'
import { chatMessageSchema } from './chat-messages.stream'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'CreateChatMessage',
  method: 'POST',
  path: '/chat-messages',
  bodySchema: z.object({
    channel_id: z.string().min(1).max(100),
    message: z.string().min(1).max(4000),
    user_id: z.string().min(1).max(40).optional(),
  }),
  emits: [],
  responseSchema: { 201: chatMessageSchema },
}

export const handler: Handlers['CreateChatMessage'] = async (req, { streams }) => {
  const { channel_id, message, user_id } = req.body
  const id = crypto.randomUUID()
  const created = await streams.chatMessage.set(channel_id, id, {
    id,
    // A real application knows who asks: req.auth, once headwater_auth says so.
    user_id: user_id ?? 'example-user-id',
    message,
    timestamp: new Date().toISOString(),
  })
  return { status: 201, body: created }
}
