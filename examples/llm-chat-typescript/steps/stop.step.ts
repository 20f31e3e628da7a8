// POST /rooms/:room/messages/:id/stop: stops an answer that nobody writes.
//
// One that is being written is stopped by the item that its run has claimed, see `public/server.js`. One that waits has no
// run yet, and one whose server was killed as it was stopped has none any more.

import { ApiRouteConfig, Handlers, HeadwaterError, versionOf } from 'headwater'

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
    try {
      await streams.messages.update(room, id, [{ type: 'set', path: 'status', value: 'cancelled' }], { ifVersion: versionOf(answer) })
    } catch (error) {
      if (!(error instanceof HeadwaterError && error.code === 'CONFLICT')) throw error
      return { status: 409, body: { detail: 'It is being written by now. Stop it again.' } }
    }
    await streams.answering.delete('all', id)
  }
  return { status: 204 }
}
