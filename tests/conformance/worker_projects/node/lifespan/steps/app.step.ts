export const config = { type: 'api', name: 'App', path: '/app', method: 'POST', emits: [] }

export const handler = async (req, ctx) => ({ status: 200, body: ctx.app })
