export const config = { type: 'api', name: 'Reply', path: '/reply', method: 'POST', emits: [] }

export const handler = async (req) =>
  ({
    nothing: null,
    'text as response': 'hello',
    'no status': { body: 'x' },
    'text status': { status: '200', body: 'x' },
    'status 99': { status: 99, body: 'x' },
    'status 600': { status: 600, body: 'x' },
    'bad header name': { status: 200, headers: { 'a b': 'x' } },
    'line break in header': { status: 200, headers: { 'x-a': '1\r\nx-b: 2' } },
    'object in header': { status: 200, headers: { 'x-a': {} } },
    'function in body': { status: 200, body: { deep: [handler] } },
    text: { status: 200, body: 'hello' },
    bytes: { status: 200, body: Buffer.from([0, 255]) },
    json: { status: 200, body: { a: [1, 'é', null, true] } },
    none: { status: 204 },
    null: { status: 200, body: null },
    headers: { status: 302, headers: { Location: '/x', 'Set-Cookie': ['a=1', 'b=2'] } },
  })[req.body.kind as string]
