import { ApiRouteConfig } from 'motia'

export const config: ApiRouteConfig = { type: 'api', name: 'Save', path: '/save', method: 'POST', emits: [] }

export async function handler(req, { streams }) {
  const item = await streams.chat.set('general', req.body.id, req.body)
  return { status: 201, body: item }
}
