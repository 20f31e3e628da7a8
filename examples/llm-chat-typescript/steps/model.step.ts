// GET /model: who answers here. Never tells the key.

import { ApiRouteConfig, Handlers } from 'headwater'
import { endpoint, hostOf, LlmError, modelOf } from '../llm'
import { SUGGESTIONS } from '../local-model'

export const config: ApiRouteConfig = { type: 'api', name: 'WhichModel', method: 'GET', path: '/model', emits: [] }

export const handler: Handlers['WhichModel'] = async () => {
  try {
    const place = await endpoint()
    const told = { local: place.local, host: hostOf(place), model: await modelOf(place) }
    return { status: 200, body: { ...told, suggestions: place.local ? SUGGESTIONS : [] } }
  } catch (error) {
    if (!(error instanceof LlmError)) throw error
    return { status: 200, body: { local: false, problem: error.message, suggestions: [] } }
  }
}
