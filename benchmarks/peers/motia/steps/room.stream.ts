import { z } from 'zod'

export const config = {
  name: 'room',
  schema: z.object({ n: z.number(), pad: z.string() }),
  baseConfig: { storageType: 'default' },
}
