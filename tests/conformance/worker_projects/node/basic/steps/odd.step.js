exports.config = { type: 'api', name: 'Odd', path: '/odd', method: 'POST', emits: [] }

exports.handler = async (req, ctx) => {
  const data = { nan: NaN, infinity: -Infinity, surrogate: 'a\ud800b', pair: '\ud83d\ude00' }
  await ctx.streams.chat.set('odd\ud800', '1', data)
  return { status: 200, body: data }
}
