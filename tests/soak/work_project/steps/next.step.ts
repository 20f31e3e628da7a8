import { Attempt } from '../record'

export const config = {
  type: 'event',
  name: 'Next',
  subscribes: ['next'],
  emits: [],
  infrastructure: { queue: { maxRetries: 5 } },
}

export const handler = async (input: any, ctx: any) => {
  new Attempt('Next', input.label, ctx.attempt).say('end')
}
