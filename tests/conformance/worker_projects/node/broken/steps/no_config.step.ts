export const handler = async () => ({ status: 200, body: 'x' })
