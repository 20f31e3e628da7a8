export const config = { type: 'event', name: 'Run', subscribes: ['r'], emits: [] }

let done = 0

/** Does what the input says with its run, and writes what became of it. */
export const handler = async (input, ctx) => {
  const { step, owns, streams } = ctx
  const seen = {}
  const costly = async () => ({ n: ++done })
  if (input.do === 'steps') {
    seen.first = await step('costly', costly)
    seen.second = await step('costly', costly)
    seen.plain = await step('plain', () => [1, 2])
  } else if (input.do === 'clash') {
    const waits = step('a', () => new Promise((resolve) => setTimeout(resolve, 50)))
    await step('a', () => 1).catch((error) => { seen.code = error.code })
    await waits
  } else if (input.do === 'owns') {
    await owns(await streams.chat.set('g', 'mine', {}))
    try {
      owns({ id: 'x' })
    } catch (error) {
      seen.code = error.code
    }
  } else if (input.do === 'cancel') {
    await streams.chat.set('g', 'waits', { cancelled: ctx.cancelled })
    if (!ctx.cancelled) await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
    await streams.chat.set('g', 'seen', { cancelled: ctx.cancelled })
    throw ctx.signal.reason
  }
  await streams.chat.set('g', 'seen', seen)
}
