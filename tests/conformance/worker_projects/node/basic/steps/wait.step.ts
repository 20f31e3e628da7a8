import { setTimeout } from 'timers/promises'

export const config = { type: 'api', name: 'Wait', path: '/wait', method: 'POST', emits: [] }

export const handler = async (req) => {
  await setTimeout(req.body.seconds * 1000)
  return { status: 200, body: 'waited' }
}
