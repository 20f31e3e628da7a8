/**
 * A link over server-sent events, for where WebSockets are blocked: one response for each subscription (WIRE.md
 * section 8). What cannot be said on a response under way is said by another one, which resumes where that stood.
 * Presence needs a WebSocket.
 */

import { type Hearing, type Link, type OpenLink, PLAIN } from './link.ts'
import { parse, toText } from './numbers.ts'
import { offline } from './refused.ts'
import { type Ended, type Json, told } from './types.ts'

/** The response of one subscription. */
interface Response {
  readonly abort: AbortController
  readonly asked: Json
  silence?: ReturnType<typeof setTimeout>
  /** It has begun; and how often it was to begin and did not. */
  begun?: boolean
  failed?: number
  /** The cursor as the server tells it. */
  id: string | undefined
  floor: number | undefined
}

/** When to look for a stream that there is not: after so long, then less and less often. */
const FIRST_LOOK_MS = 1_000
const SELDOM_LOOK_MS = 30_000
/** How long a response may be silent: comments come every 15 seconds. */
const SILENT_MS = 45_000
/** How long responses by another token may take to begin beside the old ones: browsers open six to a server. */
const BESIDE_MS = 3_000
/** Characters of a write that is to arrive though the page is left; browsers allow 64 KiB. */
const KEPT_CHARS = 16_000
const METHODS: Json = { set: 'PUT', update: 'PATCH', delete: 'DELETE', send: 'POST' }

export const openEvents =
  (prefix: string): OpenLink =>
  (address: URL, token: string | undefined, hearing: Hearing): Link => {
    const open = new Map<number, Response>()
    const looked = new Map<number, Response>()
    let ended = false
    /** The latest write; the next one is said after its answer. */
    let writing = Promise.resolve()
    const stop = ({ abort, silence }: Response) => {
      clearTimeout(silence)
      abort.abort()
    }
    const end = (reason?: string) => {
      if (ended) return
      ended = true
      for (const response of open.values()) stop(response)
      if (reason !== undefined) hearing.lost(reason)
    }
    const hear = (response: Response, message: Json, id: string | undefined) => {
      const { sub } = response.asked
      if (message.t === 'complete') response.floor = message.floor
      response.id = id ?? response.id
      const over = message.ended || message.t === 'revoked'
      if (over) {
        open.delete(sub)
        stop(response)
      }
      // Each response has a feed of its own here, so that one event is not heard twice.
      hearing.heard({ ...message, sub, f: message.f && sub })
      if (over) rest()
    }
    /** Nobody is asked for anything now. */
    const rest = () => ended || open.size || hearing.ready()

    /** A request about what a subscription asks for. */
    const request = (path: string, { stream, group, id }: Json, more: Json, options: RequestInit, headers: Record<string, string> = {}) => {
      const plain = token && PLAIN.test(token)
      if (plain) headers.authorization = `Bearer ${token}`
      const url = below(address, prefix)
      url.pathname += path
      for (const [name, value] of Object.entries({ stream, group, id, ...more, authToken: plain ? undefined : token }))
        if (value !== undefined) url.searchParams.set(name, value)
      for (const [name, value] of address.searchParams) if (!url.searchParams.has(name)) url.searchParams.append(name, value)
      return fetch(url, { ...options, headers, cache: 'no-store' })
    }

    const cancel = async (asked: Json, { id = asked.id, ask }: Json) => {
      let refusal: Ended | undefined
      try {
        // The page may be left meanwhile.
        const answer = await request('/cancel', { ...asked, id }, {}, { method: 'POST', keepalive: true })
        if (!answer.ok) refusal = (await refused(answer)) ?? offline(`the server could not be asked (${answer.status})`)
      } catch (fault) {
        refusal = offline(told(fault))
      }
      hearing.heard({ ...refusal, t: refusal ? 'error' : 'ok', ask })
    }

    /** A write, or an event, by a request of its own. */
    const write = async ({ t, stream, group, id, d, ops, e, key, if: only, ask }: Json) => {
      if (ended) return
      const headers: Record<string, string> = {}
      const body = toText(d ?? ops ?? e ?? null)
      if (t !== 'delete') headers['content-type'] = 'application/json'
      if (key) headers['idempotency-key'] = key
      if (only?.v) headers['if-match'] = `"${only.epoch}.${only.v}"`
      else if (only) headers['if-none-match'] = '*'
      try {
        const sent = t === 'delete' ? {} : { body, keepalive: body.length < KEPT_CHARS }
        const answer = await request('', { stream, group, id }, {}, { method: METHODS[t], ...sent }, headers)
        const refusal = answer.ok ? undefined : await refused(answer)
        const version = /\.(\d+)"$/.exec(answer.headers.get('etag')!)?.[1]
        if (answer.ok) hearing.heard({ t: 'ok', ask, v: version ? +version : null })
        // What stands between may be mended, and what was not done, or may have been, is said again.
        else if (!refusal && answer.status >= 500) end(`the server could not be asked (${answer.status})`)
        else hearing.heard({ ...(refusal ?? offline(`the server could not be asked (${answer.status})`)), t: 'error', ask })
        rest()
      } catch (fault) {
        end(told(fault))
      }
    }

    const ask = ({ asked, id, floor, abort: { signal } }: Response, more?: number) =>
      request('', asked, { limit: asked.limit, from: id, floor, more }, { signal }, { accept: 'text/event-stream' })

    const follow = async (asked: Json, id?: string, floor?: number, more?: number) => {
      const response: Response = { abort: new AbortController(), asked, id, floor }
      open.set(asked.sub, response)
      await hearOf(response, ask(response, more), more)
    }

    /** Ask again for one that did not begin, ever less often, while others show that the server is there. */
    const retries = (response: Response, more?: number) => {
      if (![...open.values()].some((other) => other !== response && other.begun)) return false
      response.begun = false
      const wait = Math.min(FIRST_LOOK_MS * 2 ** (response.failed ?? 0), SELDOM_LOOK_MS)
      response.failed = (response.failed ?? 0) + 1
      response.silence = setTimeout(() => void hearOf(response, ask(response, more), more), wait)
      hearing.heard({ t: 'behind', sub: response.asked.sub })
      return true
    }

    /** All that comes of a response. */
    const hearOf = async (response: Response, asking: Promise<globalThis.Response>, more?: number) => {
      const { sub } = response.asked
      const current = () => !ended && open.get(sub) === response
      try {
        const answer = await asking
        if (answer.ok && answer.body) {
          response.begun = true
          response.failed = 0
          if (current()) hearing.opened()
          await read(answer.body, (message, at) => {
            if (!current()) return
            clearTimeout(response.silence)
            response.silence = setTimeout(() => end('an event stream has gone silent'), SILENT_MS)
            if (message) hear(response, message, at)
            else hearing.alive()
          })
        } else if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
          // Only the server itself refuses for good; what stands between may be mended.
          const error = await refused(answer)
          if (!current()) return
          if (error) {
            open.delete(sub)
            hearing.opened()
            hearing.heard({ ...error, t: 'error', sub, ended: true })
            if (error.code === 'STREAM_UNKNOWN') void appears(response)
            return
          }
        } else if (current() && retries(response, more)) return
        if (current()) end(`the event stream ended (${answer.status})`)
      } catch (fault) {
        if (current()) end(told(fault))
      }
    }

    /** Another token: each response gives way to one that asks by it, and not before that has begun. */
    const auth = async (given: string, number: number) => {
      const before = token
      token = given
      const replace = async (old: Response) => {
        const response = { ...old, abort: new AbortController(), begun: false }
        const answer = await ask(response)
        // Whether this one may be followed is another question than who asks.
        const believed = answer.ok || answer.status === 403 || answer.status === 404
        const refusal = believed ? undefined : await refused(answer)
        if (!believed && !refusal) throw new Error(`the server could not be asked (${answer.status})`)
        if (refusal || ended || open.get(old.asked.sub) !== old) {
          response.abort.abort()
          return refusal
        }
        stop(old)
        open.set(old.asked.sub, response)
        void hearOf(response, Promise.resolve(answer))
      }
      let refusal: Ended | undefined
      const stuck = setTimeout(() => end('no room for another token beside the old one'), BESIDE_MS)
      try {
        refusal = (await Promise.all([...open.values()].map(replace))).find((one) => one)
      } catch (fault) {
        refusal = { code: 'AUTH_UNAVAILABLE', message: told(fault) }
      }
      clearTimeout(stuck)
      if (ended) return
      if (refusal) token = before
      hearing.heard({ ...refusal, t: refusal ? 'error' : 'ok', ask: number })
    }

    /** Ask now and then whether a stream that there is not is there, as a socket would tell. Only the server itself
     * knows; a proxy's answer says nothing. */
    const appears = async (response: Response) => {
      const { asked } = response
      const awaited = () => !ended && looked.get(asked.sub) === response
      looked.set(asked.sub, response)
      for (let wait = FIRST_LOOK_MS; awaited(); wait = Math.min(wait * 2, SELDOM_LOOK_MS)) {
        await new Promise((resolve) => setTimeout(resolve, wait))
        const answer = awaited() ? await request('', asked, { limit: 1 }, {}).catch(() => undefined) : undefined
        const error = answer && !answer.ok ? await refused(answer) : undefined
        const isThere = answer?.ok || (error && answer!.status < 500 && error.code !== 'STREAM_UNKNOWN')
        if (!isThere || !awaited()) continue
        looked.delete(asked.sub)
        hearing.heard({ t: 'appeared', sub: asked.sub })
      }
    }

    queueMicrotask(() => ended || hearing.ready())
    return {
      mute: true,
      send(message) {
        const { t, sub, from, floor, limit } = message
        const response = open.get(sub)
        if (METHODS[t]) writing = writing.then(() => write(message))
        if (t === 'auth') void auth(message.token, message.ask)
        if (t === 'sub' || t === 'unsub') looked.delete(sub)
        if (t === 'sub') void follow(message, from && `${from.epoch}.${from.v}`, floor)
        else if (response && t === 'cancel') void cancel(response.asked, message)
        else if (response && (t === 'unsub' || t === 'more')) {
          open.delete(sub)
          stop(response)
          if (t === 'more') void follow(response.asked, response.id, floor ?? response.floor, limit)
          else rest()
        }
      },
      close: () => end(),
    }
  }

/** The address of the streams: below that of the server, which may have a path. */
function below(address: URL, prefix: string): URL {
  const base = new URL(address)
  base.pathname = base.pathname.replace(/\/*$/, '/')
  return new URL(prefix.replace(/^\/+/, ''), base)
}

/** Why the server says no; nothing where it is not the server that says so. */
async function refused(answer: globalThis.Response): Promise<Ended | undefined> {
  const { code, type, status, title, detail, ...more } = await answer.json().catch(() => ({}))
  // What a socket would call it.
  return code && { ...more, code: code === 'PRECONDITION_FAILED' ? 'CONFLICT' : code, message: detail || title || code }
}

/** Hands over each message of an event stream with the id told before it, and nothing for whatever else comes. */
async function read(body: ReadableStream<Uint8Array>, hear: (message?: Json, id?: string) => void): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  let id: string | undefined
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = lines.pop()!
    hear()
    for (const line of lines) {
      if (line.startsWith('id: ')) id = line.slice(4)
      else if (line.startsWith('data:')) hear(parse(line.slice(5)), id)
    }
  }
}
