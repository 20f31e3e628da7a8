// Calls the methods of state that it is told to, one after the other, and answers what each gave.
export const config = { type: 'api', name: 'Remember', path: '/remember', method: 'POST', emits: [] }

export const handler = async (req, ctx) => {
  const answers: object[] = []
  for (const [method, values, options] of req.body) {
    const named = method === 'list' && values.length === 0 ? [undefined, options] : [...values, options]
    try {
      answers.push({ value: await ctx.state[method](...named) })
    } catch (error) {
      answers.push({ error: error.code, message: error.message })
    }
  }
  return { status: 200, body: answers }
}
