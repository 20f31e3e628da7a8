// The stream `answering`: one group, `all`, with an item per unfinished answer, for the list of rooms.

import { StreamConfig } from 'headwater'
import { z } from 'zod'

export const config: StreamConfig = { name: 'answering', schema: z.object({ room: z.string() }) }
