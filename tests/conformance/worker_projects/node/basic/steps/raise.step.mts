import { causeTrouble } from './lib/trouble.mjs'

export const config = { type: 'api', name: 'Raise', path: '/raise', method: 'POST', emits: [] }

export const handler = async () => causeTrouble()
