/**
 * A small server that speaks the OpenAI-compatible chat format over real HTTP. It is no language model.
 *
 * The example talks to it where no endpoint is set, so that it runs without a key; what it answers is written in this
 * file. It streams (`chat.completion.chunk`, usage, `[DONE]`), answers whole, lists its model, and fails when asked to.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

export const MODEL = 'local-stand-in'
const TOKENS_PER_SECOND = Number(process.env.LLM_LOCAL_SPEED) || 30
const TOKEN = /\s*\S{1,6}|\s+/g

/** Questions that this server has an answer to; the page offers them. */
export const SUGGESTIONS = [
  { label: 'What happens to an answer here?', text: 'What happens to an answer here?' },
  { label: 'Show me some code', text: 'Show me some code: how does a step write an answer?' },
  { label: 'Write something long to stop', text: 'Write something long, so that I can stop it.' },
  { label: 'Break off in the middle', text: 'Break off in the middle of the answer.' },
]

const FIRST = "*This is no language model: the example's own local server has this text ready.*\n\n"

const LIFE = `An answer here is **not tied to your browser**, nor to the request that asked for it.

1. Your question is a request. It is stored, an event is emitted, and the request is over.
2. A step picks up the event, streams from the model, and appends every token to *one item of a stream*.
3. Whoever looks at the room follows that item: this tab, another one, your phone.

So refresh the page, close it, or open a second window: the answer goes on. Press **Stop** in any of them, and it stops
in all of them. Kill the server, and start it again: the answer is finished all the same.`

const CODE = `A step appends what the model sends. That is the whole trick:

\`\`\`typescript
for await (const value of pieces) {
  await messages.update(room, answer, [{ type: 'append', path: 'text', value }])
}
\`\`\`

Each \`append\` is committed before anybody sees it, and travels as the few bytes that it adds. A window that was away
asks for what has changed since, and gets *that*, not the whole text again.`

const LONG = `Here is a long answer. It is long so that there is time to press **Stop**, to refresh the page, or to restart
the server while it is being written.

`
const LINES = [
  'A river does not begin at its mouth, and a page does not begin when it is opened.',
  'What was said before is there at once; what is said now arrives as it is said.',
  'Two readers of the same water see the same water, however late the second came.',
  'When the path is lost, one goes back to the last place that is certain, and on from there.',
  'Nothing is said twice, and nothing is left out.',
  'A slow reader holds up nobody; they find the river where it is by then.',
  'And if somebody upstream says stop, it stops for everyone.',
]

const other = (question: string) => `You asked: “${question}”

A model would know something about that. This server only knows how to **stream**: it sends a few letters at a time, at
an even pace, just as a real endpoint does. Set \`LLM_BASE_URL\` and \`LLM_API_KEY\` in the file \`.env\` and ask again.

Until then, these work:

- ask for something **long**, and stop it from another window,
- ask for **code**,
- ask it to **break off** in the middle, or to **fail** at once.`

interface Message {
  role: string
  content: string
}

interface Request {
  model?: string
  messages: Message[]
  stream?: boolean
  stream_options?: { include_usage?: boolean }
}

/** The last question, in one line. Of a turn with several, which had no answer, it is the last paragraph. */
function questionOf(messages: Message[]): string {
  const asked = messages.filter(({ role }) => role === 'user').at(-1)?.content ?? ''
  return asked.slice(asked.lastIndexOf('\n\n') + 1).split(/\s+/).join(' ')
}

/** What it says to the last question of a conversation; always the same to the same question. */
function answerTo(messages: Message[]): string {
  const question = questionOf(messages)
  if (/\blong\b/i.test(question)) return FIRST + LONG + Array.from({ length: 40 }, (_, n) => `${n + 1}. ${LINES[n % LINES.length]}`).join('\n\n')
  if (/\bcode\b/i.test(question)) return FIRST + CODE
  if (/\b(answer|break off)\b/i.test(question)) return FIRST + LIFE
  return FIRST + other(question.slice(0, 200))
}

/** The answer; where the last message is a piece of one, as some endpoints allow, what comes after it. */
function restOf(messages: Message[]): string {
  const whole = answerTo(messages)
  const last = messages.at(-1)
  return last?.role === 'assistant' && whole.startsWith(last.content) ? whole.slice(last.content.length) : whole
}

/** A request that is answered by an error, in the format's own words. */
class Refused extends Error {
  readonly status: number
  readonly type: string

  constructor(status: number, message: string, type = 'invalid_request_error') {
    super(message)
    this.status = status
    this.type = type
  }
}

/** Begin to serve, on a free port of this machine. Answers what LLM_BASE_URL would be. */
export async function serveLocalModel(): Promise<string> {
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) return response.destroy()
      const { status, message, type } = error instanceof Refused ? error : new Refused(500, String(error), 'server_error')
      json(response, status, { error: { message, type, param: null, code: null } })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/v1/models') {
    json(response, 200, { object: 'list', data: [{ id: MODEL, object: 'model', created: 0, owned_by: 'example' }] })
  } else if (request.method === 'POST' && request.url === '/v1/chat/completions') {
    await complete(read(await textOf(request)), response)
  } else {
    throw new Refused(404, `There is nothing at ${request.url}.`)
  }
}

function read(body: string): Request {
  try {
    const request = JSON.parse(body) as Request
    const whole = request.messages.every(({ role, content }) => typeof role === 'string' && typeof content === 'string')
    if (whole && request.messages.length > 0) return request
  } catch {}
  throw new Refused(400, "'messages' must be a list of objects with 'role' and 'content'.")
}

let answers = 0

async function complete(request: Request, response: ServerResponse): Promise<void> {
  const { messages, model = MODEL } = request
  const question = questionOf(messages)
  if (/\bfail\b/i.test(question)) throw new Refused(429, 'Too many requests. (You asked for a failure.)', 'rate_limit_error')
  const text = restOf(messages)
  const head = { id: `chatcmpl-${++answers}`, created: Math.floor(Date.now() / 1000), model }
  if (request.stream) return stream(request, text, { ...head, object: 'chat.completion.chunk' }, response)
  const message = { role: 'assistant', content: text }
  json(response, 200, { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: usageOf(request, text) })
}

async function stream(request: Request, text: string, head: object, response: ServerResponse): Promise<void> {
  const tokens = tokensOf(text)
  const breaks = /\bbreak off\b/i.test(questionOf(request.messages)) ? Math.floor(tokens.length / 2) : -1
  const event = (data: object) => response.write(`data: ${JSON.stringify({ ...head, ...data })}\n\n`)
  const chunk = (delta: object, finish_reason: string | null = null) => event({ choices: [{ index: 0, delta, finish_reason }] })
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  chunk({ role: 'assistant', content: '' })
  for (const [number, content] of tokens.entries()) {
    if (number === breaks) {
      event({ error: { message: 'The server broke off, as it was asked to.', type: 'server_error' } })
      return void response.end()
    }
    await sleep(1000 / TOKENS_PER_SECOND)
    if (response.destroyed) return // nobody wants the rest
    chunk({ content })
  }
  chunk({}, 'stop')
  if (request.stream_options?.include_usage) event({ choices: [], usage: usageOf(request, text) })
  response.end('data: [DONE]\n\n')
}

/** The text in the pieces that are sent. */
function tokensOf(text: string): string[] {
  return text.match(TOKEN) ?? []
}

function usageOf({ messages }: Request, text: string) {
  const prompt_tokens = messages.reduce((sum, { content }) => sum + tokensOf(content).length, 0)
  const completion_tokens = tokensOf(text).length
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

function json(response: ServerResponse, status: number, data: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(data))
}
