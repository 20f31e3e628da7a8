/**
 * A link over server-sent events, for where WebSockets are blocked: one response for each subscription (WIRE.md
 * section 8). What cannot be said on a response under way is said by another one, which resumes where that stood.
 * Presence needs a WebSocket.
 */

import { type Hearing, type Link, type OpenLink, PLAIN } from './link.ts'
import { type Json, told } from './types.ts'

/** The response of one subscription. */
interface Response {
  readonly abort: AbortController
  readonly asked: Json
  /** The cursor as the server tells it. */
  id: string | undefined
  floor: number | undefined
}

export const openEvents =
  (prefix: string): OpenLink =>
  (address: URL, token: string | undefined, hearing: Hearing): Link => {
    const open = new Map<number, Response>()
    let ended = false
    const end = (reason?: string) => {
      if (ended) return
      ended = true
      for (const { abort } of open.values()) abort.abort()
      if (reason !== undefined) hearing.lost(reason)
    }
    const hear = (response: Response, message: Json, id: string | undefined) => {
      const { sub } = response.asked
      if (message.t === 'complete') response.floor = message.floor
      response.id = id ?? response.id
      // Each response has a feed of its own here, so that one event is not heard twice.
      hearing.heard({ ...message, sub, f: message.f && sub })
    }

    const follow = async (asked: Json, id?: string, floor?: number, more?: number) => {
      const { sub, stream, group, limit } = asked
      const response: Response = { abort: new AbortController(), asked, id, floor }
      const current = () => !ended && open.get(sub) === response
      open.set(sub, response)
      const headers: Record<string, string> = { accept: 'text/event-stream' }
      const plain = token && PLAIN.test(token)
      if (plain) headers.authorization = `Bearer ${token}`
      const authToken = plain ? undefined : token
      const url = new URL(prefix, address)
      for (const [name, value] of Object.entries({ stream, group, id: asked.id, limit, from: id, floor, more, authToken }))
        if (value !== undefined) url.searchParams.set(name, value)
      try {
        const answer = await fetch(url, { headers, cache: 'no-store', signal: response.abort.signal })
        if (answer.ok && answer.body) {
          await read(answer.body, (message, at) => {
            if (!current()) return
            if (message) hear(response, message, at)
            else hearing.alive()
          })
        } else if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
          // Only the server itself refuses for good; what stands between may be mended.
          const { code, title, detail, hint } = await answer.json().catch(() => ({}))
          if (!current()) return
          if (code) {
            open.delete(sub)
            hearing.heard({ t: 'error', sub, code, message: detail || title || code, hint, ended: true })
            return
          }
        }
        if (current()) end(`the event stream ended (${answer.status})`)
      } catch (fault) {
        if (current()) end(told(fault))
      }
    }

    queueMicrotask(() => ended || hearing.opened())
    return {
      mute: true,
      send(message) {
        const { t, sub, from, floor, limit } = message
        const response = open.get(sub)
        if (t === 'sub') void follow(message, from && `${from.epoch}.${from.v}`, floor)
        else if (response && (t === 'unsub' || t === 'more')) {
          open.delete(sub)
          response.abort.abort()
          if (t === 'more') void follow(response.asked, response.id, response.floor, limit)
        }
      },
      close: () => end(),
    }
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
      else if (line.startsWith('data:')) hear(JSON.parse(line.slice(5)), id)
    }
  }
}
