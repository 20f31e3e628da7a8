// Answers items inside other values, more of them than an answer may name.
export const config = { type: 'api', name: 'Nested', path: '/nested', method: 'POST', emits: [] }

export const handler = async (req, { streams }) => {
  const items = []
  for (let number = 0; number < 20; number++) items.push(await streams.chat.set('g/1', String(number), { n: number }))
  return { status: 200, body: { first: items[0], rest: { list: items.slice(1) } } }
}
