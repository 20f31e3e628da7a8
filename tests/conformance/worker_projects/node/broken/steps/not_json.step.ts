export const config = { type: 'api', name: 'NotJson', path: '/x', method: 'GET', emits: [], includeFiles: [() => 1] }

export const handler = async () => ({ status: 200, body: 'x' })
