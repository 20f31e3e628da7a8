import { isDeepStrictEqual } from 'node:util'

import type { StreamChange, StreamConfig } from 'headwater'

export const config: StreamConfig = {
  name: 'ruled',
  schema: { type: 'object' },
  canWrite: (change: StreamChange, auth: { user: string }) => {
    if (change.groupId === 'nothing') return undefined as never
    if (change.groupId === 'truthy') return 1 as never
    const { user: by } = auth
    return isDeepStrictEqual(change, { groupId: 'g', id: 'a', type: 'set', old: null, new: { id: 'a', by } })
  },
}

export const can_delete = true
export const canSend = false

export const can_cancel = async ({ groupId, id }: { groupId: string; id: string }, auth: unknown) =>
  groupId === 'g' && id === 'a' && auth === null
