export const config = { type: 'api', name: 'Syntax', path: '/syntax', method: 'GET', emits: [] }

export const handler = async () => {
  return { status: 200, body 'x' }
}
