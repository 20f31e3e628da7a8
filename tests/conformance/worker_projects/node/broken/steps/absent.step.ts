import { handle } from 'surely-not-installed'

export const config = { type: 'api', name: 'Absent', path: '/absent', method: 'GET', emits: [] }
export const handler = handle
