export const config = { type: 'api', name: 'Fine', path: '/fine', method: 'GET', emits: [] }

export const handler = async () => ({ status: 200, body: 'fine' })
