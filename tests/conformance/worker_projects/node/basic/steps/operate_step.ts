// Calls the methods it is told to, one after the other, and answers what each gave.
export const config = { type: 'api', name: 'Operate', path: '/operate', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  const answers: object[] = []
  for (const [method, values, options] of req.body) {
    try {
      const value = await ctx.streams['chat'][method](...values, options)
      answers.push({ value, version: value?.version ?? null })
    } catch (error) {
      answers.push({ error: error.code, message: error.message })
    }
  }
  return { status: 200, body: answers }
}
