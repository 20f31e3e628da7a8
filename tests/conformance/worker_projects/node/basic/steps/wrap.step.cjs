async function outer(req, ctx, next) {
  req.trail = ['outer']
  const response = await next()
  return { ...response, headers: { 'x-outer': 'after' } }
}

async function inner(req, ctx, next) {
  req.trail.push('inner')
  req.live = new Map()
  if (req.body.stop) return { status: 403, body: req.trail }
  return await next()
}

module.exports = {
  config: { type: 'api', name: 'Wrap', path: '/wrap', method: 'POST', emits: [], middleware: [outer, inner] },
  handler: async (req) => ({ status: 200, body: { trail: req.trail, live: req.live instanceof Map } }),
}
