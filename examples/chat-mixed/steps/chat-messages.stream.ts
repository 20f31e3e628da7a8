// The stream `chatMessage`, declared in TypeScript and written by a Python step.

import { StreamConfig } from 'headwater'
import { z } from 'zod'

export const config: StreamConfig = {
  name: 'chatMessage',
  schema: z.object({
    id: z.string(),
    user_id: z.string(),
    message: z.string().min(1).max(4000),
    timestamp: z.string(),
  }),
  baseConfig: { storageType: 'default' },
}
