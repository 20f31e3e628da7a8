export const config = { type: 'api', name: 'Large', path: '/large', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  const text = 'x'.repeat(req.body.size)
  if (req.body.where === 'response') return { status: 200, body: text }
  try {
    await ctx.streams.chat.set('general', 'large', { text })
  } catch (error) {
    return { status: 200, body: { code: error.code } }
  }
  return { status: 200, body: { code: null } }
}
