export const config = { type: 'api', name: 'Emit', path: '/emit', method: 'POST', emits: [] }

/** Emits in every form, and tells what became of what makes no sense. */
export const handler = async (req, { emit }) => {
  void emit({ topic: 'unawaited', data: { n: 1 } })
  const given = await emit({ topic: 't', data: [1], messageGroupId: 'g', delay: 1.5, key: 'k' })
  await emit({ topic: 'empty', delya: 3 })
  const codes = []
  for (const wrong of [{}, { topic: 1 }, { topic: 't', delay: 'soon' }, { topic: 't', messageGroupId: 7 }, null]) {
    await emit(wrong).catch((error) => codes.push(error.code))
  }
  const misused = await emit('order.placed', { id: 1 }).catch((error) => error.hint)
  return { status: 200, body: { given, codes, misused } }
}
