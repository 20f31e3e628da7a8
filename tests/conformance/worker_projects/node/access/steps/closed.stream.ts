import type { StreamConfig } from 'headwater'

export const config: StreamConfig = {
  name: 'closed',
  schema: { type: 'object' },
  baseConfig: { storageType: 'default' },
  canAccess: async (subscription, auth) => {
    if (subscription.groupId === 'boom') throw new Error('no')
    if (subscription.groupId === 'truthy') return 1 as never
    return subscription.groupId === (auth as { user: string }).user && subscription.id !== 'private'
  },
}
