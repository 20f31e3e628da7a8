export const config = { type: 'event', name: 'OnEvent', subscribes: ['t'], emits: [] }

export const handler = async (input, ctx) => {
  if (input === 'fail') throw new Error('kaboom')
  await ctx.streams.chat.set('g', 'seen', { input, attempt: ctx.attempt, run: ctx.run })
  return { status: 500 }
}
