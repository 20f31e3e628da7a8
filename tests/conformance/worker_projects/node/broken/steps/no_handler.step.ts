export const config = { type: 'api', name: 'NoHandler', path: '/no-handler', method: 'GET', emits: [] }
