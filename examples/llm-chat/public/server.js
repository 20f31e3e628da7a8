// What the page asks of the server. Each rejects with an error whose message may be shown.

const TIMEOUT_MS = 10_000

export const ask = (room, text) => request('POST', ['rooms', room, 'messages'], { text })
export const askAgain = (room, answer) => request('POST', ['rooms', room, 'messages', answer, 'again'])
export const whichModel = () => request('GET', ['model'])

/** Stop an answer: the run that writes it; where there is none (any more, or yet), the answer itself. */
export async function stop(messages, room, answer) {
  try {
    await messages.cancel(answer)
  } catch (refused) {
    if (refused.code !== 'RUN_UNKNOWN') throw refused
    await request('POST', ['rooms', room, 'messages', answer, 'stop'])
  }
}

async function request(method, path, body) {
  const response = await fetch(`/${path.map(encodeURIComponent).join('/')}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => {
    throw new Error('The server cannot be reached. What was asked before goes on when it is back.')
  })
  const told = await response.json().catch(() => ({}))
  if (response.ok) return told
  throw new Error(told.detail || told.message || `The server answered ${response.status}.`)
}
