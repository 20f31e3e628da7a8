import type { StreamConfig, StreamEvent } from 'headwater'

export const config: StreamConfig = { name: 'sent', schema: null }

export const can_send = ({ groupId, id, event }: StreamEvent, auth: unknown) =>
  groupId === 'g' && id === undefined && event.type === 'seen' && event.data === auth
