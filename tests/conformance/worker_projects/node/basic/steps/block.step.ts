// Blocks whatever runs it, writing now and then without waiting, as code around a blocking client does.
export const config = { type: 'api', name: 'Block', path: '/block', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  for (let number = 0; number < req.body.times; number++) {
    ctx.streams.chat.set('general', String(number), { number })
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, req.body.seconds * 1000)
  }
  return { status: 200, body: 'blocked' }
}
