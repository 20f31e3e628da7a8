export const config = { type: 'api', name: 'SayTs', method: 'POST', path: '/say-ts', emits: [], flows: [] }

export const handler = async (req: any, { streams }: any) => {
  const { id, n, pad } = req.body
  const item = await streams.room.set('g', id, { n, pad })
  return { status: 200, body: item }
}
