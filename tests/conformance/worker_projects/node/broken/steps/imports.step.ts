import { found } from './thrower'

export const config = { type: 'api', name: 'Imports', path: '/imports', method: 'GET', emits: [] }

export const handler = async () => ({ status: 200, body: found })
