export const config = { type: 'cron', name: 'OnTime', cron: '* * * * *', emits: [] }

export const handler = async ({ streams, run }) => {
  await streams.chat.set('g', 'time', { run })
}
