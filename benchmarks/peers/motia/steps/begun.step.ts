import { appendFileSync } from 'node:fs'

export const config = { type: 'event', name: 'BegunTs', subscribes: ['old.ts'], emits: [], flows: [] }

/** Notes how many ms each event took from its emit to here, a line each. */
export const handler = async (input: any, _ctx: any) => {
  appendFileSync('begun.txt', `${performance.timeOrigin + performance.now() - input.at}\n`)
}
