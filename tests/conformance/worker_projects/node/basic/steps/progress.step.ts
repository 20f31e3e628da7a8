export const config = { type: 'api', name: 'Progress', path: '/progress', method: 'POST', emits: [] }

export const handler = async ({ body }, { progress, streams }) => {
  const item = await streams.chat.set('jobs', 'a', { n: 1 })
  const seen: unknown[] = []
  if (body.way === 'plain') {
    for (const element of progress(body.items, item)) seen.push(element)
  } else {
    for await (const element of progress(body.items, item)) {
      if (element === null) throw new Error('an element that is none')
      seen.push(element)
    }
  }
  return { status: 200, body: seen }
}
