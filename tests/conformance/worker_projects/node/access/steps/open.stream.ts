export const config = { name: 'open', schema: { type: 'object' } }
