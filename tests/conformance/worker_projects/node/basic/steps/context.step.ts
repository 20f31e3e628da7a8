export const config = { type: 'api', name: 'Context', path: '/context', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  let unknown = null
  try {
    ctx.streams['chatt'].get('general', '1')
  } catch (error) {
    unknown = { code: error.code, text: String(error) }
  }
  return { status: 200, body: { trace: ctx.traceId, flows: ctx.flows, unknown } }
}
