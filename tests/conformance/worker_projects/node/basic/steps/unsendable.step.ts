export const config = { type: 'api', name: 'Unsendable', path: '/unsendable', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  try {
    await ctx.streams.chat.set('general', '1', { list: [{ deep: handler }] })
  } catch (error) {
    return { status: 200, body: { code: error.code, message: error.message } }
  }
}
