// The stream `rooms`: one group, `all`, with an item per room that has been asked something.

import { StreamConfig } from 'headwater'
import { z } from 'zod'

export const config: StreamConfig = {
  name: 'rooms',
  schema: z.object({
    title: z.string().max(200),
    /** When last, ISO 8601. */
    asked: z.string(),
  }),
}
