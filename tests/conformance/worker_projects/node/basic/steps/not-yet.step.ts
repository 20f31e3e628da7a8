export const config = { type: 'api', name: 'NotYet', path: '/not-yet', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  const codes = []
  for (const use of [() => ctx.emit({ topic: 'a', data: {} }), () => ctx.state.get('a', 'b')]) {
    await use().catch((error) => codes.push(error.code))
  }
  return { status: 200, body: codes }
}
