export const config = { name: 'broken', schema: { type: 'object' } }
undefinedName
