// The stream `chatMessage`: one group per channel, one item per message.

import { StreamConfig } from 'headwater'
import { z } from 'zod'

export const chatMessageSchema = z.object({
  id: z.string(),
  user_id: z.string(),
  message: z.string().min(1).max(4000),
  timestamp: z.string(),
})

export type ChatMessage = z.infer<typeof chatMessageSchema>

export const config: StreamConfig = {
  name: 'chatMessage',
  schema: chatMessageSchema,
  baseConfig: { storageType: 'default' },
}
