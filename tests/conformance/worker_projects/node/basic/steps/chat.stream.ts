import { StreamConfig } from 'headwater'

export const config: StreamConfig = {
  name: 'chat',
  schema: { type: 'object' },
  baseConfig: { storageType: 'default' },
}
