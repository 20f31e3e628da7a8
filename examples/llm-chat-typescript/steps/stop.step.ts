// POST /rooms/:room/messages/:id/stop: stops an answer, whoever asked for it.

import { ApiRouteConfig, Handlers } from 'headwater'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'Stop',
  method: 'POST',
  path: '/rooms/:room/messages/:id/stop',
  emits: [],
}

export const handler: Handlers['Stop'] = async (req, { streams }) => {
  const { room, id } = req.pathParams as { room: string; id: string }
  const answer = await streams.messages.get(room, id)
  if (answer?.status === 'waiting' || answer?.status === 'streaming') {
    await streams.messages.update(room, id, [{ type: 'set', path: 'status', value: 'cancelled' }])
    await streams.answering.delete('all', id)
  }
  return { status: 204 }
}
