export const config = { type: 'api', name: 'EmitOneTs', method: 'POST', path: '/emit-ts', emits: ['old.ts'], flows: [] }

export const handler = async (_req: any, { emit }: any) => {
  await emit({ topic: 'old.ts', data: { at: performance.timeOrigin + performance.now() } })
  return { status: 200, body: {} }
}
