export const config = { type: 'api', name: 'Echo', path: '/echo', method: 'POST', emits: [] }

const kindOf = (value: unknown) => (typeof value === 'string' ? 'text' : Buffer.isBuffer(value) ? 'bytes' : 'json')

export const handler = async (req) => {
  const { pathParams, queryParams, headers } = req
  const kinds = { raw: kindOf(req.rawBody), body: kindOf(req.body) }
  const body = kinds.body === 'bytes' ? null : req.body
  const rawBody = kinds.raw === 'text' ? req.rawBody : null
  const request = { pathParams, queryParams, headers, body, rawBody }
  return { status: 200, body: { request, kinds, members: Object.keys(req).sort() } }
}
