/**
 * The endpoint that answers: which one, and how its stream is read. Knows no steps.
 *
 * Any endpoint that speaks the OpenAI-compatible format of `POST /chat/completions` will do. Set in `.env`:
 *
 *     LLM_BASE_URL=https://.../v1     the address before /chat/completions
 *     LLM_API_KEY=...                 sent as a bearer token; some servers want none
 *     LLM_MODEL=...                   optional: else the first that the endpoint lists
 *     LLM_AFTER_RESTART=continue      the endpoint goes on with a begun answer; else it is begun anew
 *
 * Without LLM_BASE_URL, a small server of this folder's own answers (`local-model.ts`),
 * LLM_LOCAL_SPEED tokens a second (30).
 */

import { serveLocalModel } from './local-model'

const RULES = 'Answer in Markdown: paragraphs, lists, bold, code. No tables, no images, no HTML.'
/** How much of a room the model is told: so many messages. */
const LAST_MESSAGES = 40

/** Why there is no answer, or not all of it; for people to read. */
export class LlmError extends Error {}

/** Where questions go. `local` says that no language model is behind it. */
export interface Endpoint {
  url: string
  key: string
  model: string
  local: boolean
}

/** What the endpoint says beside the text. */
export interface Told {
  finish?: string
  usage?: { completion_tokens?: number }
}

export interface Message {
  role: string
  content: string
}

let localModel: Promise<string> | undefined

/** The endpoint of the settings. Throws an LlmError where a key is set, and no address that it is for. */
export async function endpoint(): Promise<Endpoint> {
  const [url, key, model] = ['BASE_URL', 'API_KEY', 'MODEL'].map((name) => process.env[`LLM_${name}`]?.trim() ?? '') as [string, string, string]
  if (url) return { url: url.replace(/\/+$/, ''), key, model, local: false }
  if (key) throw new LlmError('LLM_API_KEY is set, but not LLM_BASE_URL: the address that the key is for.')
  localModel ??= serveLocalModel()
  return { url: await localModel, key: '', model: '', local: true }
}

/** The host and port, which may be shown to anybody. */
export function hostOf({ url }: Endpoint): string {
  return URL.canParse(url) ? new URL(url).host : url
}

/** What of what the endpoint told is kept with an answer. */
export function factsOf({ usage, finish }: Told) {
  return {
    ...(usage?.completion_tokens && { tokens: usage.completion_tokens }),
    ...(finish === 'length' && { note: "The endpoint's limit of tokens was reached." }),
  }
}

/**
 * What the model is told: the last messages up to the answer, as far as they say anything. Where the answer is begun, its
 * beginning is the last of them: some endpoints go on from there. Questions without an answer between them become one,
 * since many models want turns.
 */
export function conversationBefore(answer: string, items: { id: string; role: string; text: string }[]): Message[] {
  const until = items.slice(0, items.findIndex(({ id }) => id === answer) + 1)
  const said = until.filter(({ text }) => text).slice(-LAST_MESSAGES)
  const turns: Message[] = []
  for (const { role, text } of said) {
    const last = turns.at(-1)
    if (last?.role === role) last.content += `\n\n${text}`
    else turns.push({ role, content: text })
  }
  return [{ role: 'system', content: RULES }, ...turns]
}

/** The model to ask: that of the settings, or the first that the endpoint lists. */
export async function modelOf(place: Endpoint, signal?: AbortSignal): Promise<string> {
  if (place.model) return place.model
  const response = await ask(place, '/models', { signal })
  const listed = (await response.json()) as { data?: { id: string }[] }
  if (listed.data?.[0]) return listed.data[0].id
  throw new LlmError(`${hostOf(place)} lists no model: set LLM_MODEL.`)
}

/**
 * The answer to a conversation, piece by piece as it comes; `told` learns the rest. Leaving the loop early closes the
 * connection, by which the endpoint knows to stop. Throws an LlmError where the endpoint refused, failed or broke off.
 */
export async function* pieces(place: Endpoint, model: string, messages: Message[], told: Told, signal?: AbortSignal): AsyncGenerator<string> {
  const complete = (more: object) =>
    ask(place, '/chat/completions', { method: 'POST', body: JSON.stringify({ model, messages, stream: true, ...more }), signal })
  const response = await complete({ stream_options: { include_usage: true } }).catch((error: Error) => {
    // Older servers refuse what they do not know; they count no tokens then.
    if (error.message.includes('stream_options')) return complete({})
    throw error
  })
  for await (const data of events(response, place)) {
    if (data === '[DONE]') return
    const chunk = JSON.parse(data)
    if (chunk.error) throw new LlmError(messageOf(chunk))
    told.usage = chunk.usage ?? told.usage
    for (const choice of chunk.choices ?? []) {
      told.finish = choice.finish_reason ?? told.finish
      if (choice.delta?.content) yield choice.delta.content
    }
  }
  if (!told.finish) throw new LlmError(brokeOff(place))
}

/** A request and its good answer. */
async function ask(place: Endpoint, path: string, init: RequestInit): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...(place.key && { authorization: `Bearer ${place.key}` }) }
  const response = await fetch(place.url + path, { ...init, headers }).catch((error: Error) => {
    if (init.signal?.aborted) throw error
    throw new LlmError(`${hostOf(place)} cannot be reached: ${(error.cause as Error | undefined)?.message || error.message}.`)
  })
  if (response.ok) return response
  const told = await response.text().catch(() => '')
  throw new LlmError(`${hostOf(place)} answered ${response.status}: ${messageOfText(told)}`)
}

/** The data of each server-sent event; in this format an event is one line. */
async function* events(response: Response, place: Endpoint): AsyncGenerator<string> {
  let rest = ''
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: Error) => {
        throw error.name === 'AbortError' ? error : new LlmError(brokeOff(place))
      })
      if (done) return
      const lines = (rest + value).split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim()
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

const brokeOff = (place: Endpoint) => `${hostOf(place)} broke off in the middle of the answer.`

function messageOfText(body: string): string {
  try {
    return messageOf(JSON.parse(body))
  } catch {
    return body.slice(0, 200) || 'nothing more'
  }
}

/** The message of an error, in the forms that are about. */
function messageOf(told: { error?: unknown }): string {
  const error = (told.error ?? told) as { message?: unknown }
  return String((typeof error === 'object' ? error.message : error) || 'an error without a message').slice(0, 500)
}
