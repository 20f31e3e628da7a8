// Begins writes and does not wait for them.
export const config = { type: 'api', name: 'Begin', path: '/begin', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  for (const item of req.body.items) ctx.streams.chat.set('general', item.id, item)
  return { status: 200, body: 'begun' }
}
