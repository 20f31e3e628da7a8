// The stream `messages`: one group per room; a question is an item, and so is the answer to it.
//
// The status of an answer:
//
//     waiting -> streaming -> done | error | cancelled
//
// Two things lead back to the beginning: somebody asks again; the server was restarted (the next `attempt`).

import { StreamConfig } from 'headwater'
import { z } from 'zod'

export const config: StreamConfig = {
  name: 'messages',
  schema: z.object({
    role: z.enum(['user', 'assistant']),
    text: z.string(),
    /** When it was asked, ISO 8601. */
    at: z.string(),
    status: z.enum(['waiting', 'streaming', 'done', 'error', 'cancelled']),
    /** 1 at first, one more after each restart. */
    attempt: z.int().optional(),
    /** Whether that attempt went on where it was. */
    resumed: z.boolean().optional(),
    model: z.string().optional(),
    /** No language model, the example's own server. */
    local: z.boolean().optional(),
    /** How long it took. */
    seconds: z.number().optional(),
    /** How many the endpoint counted. */
    tokens: z.int().optional(),
    /** Why it failed, or ended early. */
    note: z.string().optional(),
  }),
}
