/**
 * A link over server-sent events, for where WebSockets are blocked: one response for each subscription (WIRE.md
 * section 8). Presence and windows need a WebSocket; a window holds the whole group here.
 */

import type { Hearing, Link, OpenLink } from './link.ts'
import { type Json, told } from './types.ts'

export const openEvents =
  (prefix: string): OpenLink =>
  (address: URL, token: string | undefined, hearing: Hearing): Link => {
    const open = new Map<number, AbortController>()
    let ended = false
    const end = (reason?: string) => {
      if (ended) return
      ended = true
      for (const abort of open.values()) abort.abort()
      if (reason !== undefined) hearing.lost(reason)
    }

    const follow = async ({ sub, stream, group, id, from }: Json) => {
      const abort = new AbortController()
      open.set(sub, abort)
      const query = new URLSearchParams({ stream, group })
      if (id !== undefined) query.set('id', id)
      if (from) query.set('from', `${from.epoch}.${from.v}`)
      if (token) query.set('authToken', token)
      try {
        const answer = await fetch(new URL(`${prefix}?${query}`, address), {
          headers: { accept: 'text/event-stream' },
          cache: 'no-store',
          signal: abort.signal,
        })
        if (answer.ok && answer.body) {
          await read(answer.body, (message) => {
            if (ended || open.get(sub) !== abort) return
            // Each response has a feed of its own here, so that one event is not heard twice.
            if (message) hearing.heard({ ...message, sub, f: message.f && sub })
            else hearing.alive()
          })
        } else if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
          // Only the server itself refuses for good; what stands between may be mended.
          const { code, title, detail } = await answer.json().catch(() => ({}))
          if (open.get(sub) !== abort) return
          if (code) {
            open.delete(sub)
            hearing.heard({ t: 'error', sub, code, message: detail || title || code, ended: true })
            return
          }
        }
        if (open.get(sub) === abort) end(`the event stream ended (${answer.status})`)
      } catch (fault) {
        if (open.get(sub) === abort) end(told(fault))
      }
    }

    queueMicrotask(() => ended || hearing.opened())
    return {
      send(message) {
        if (message.t === 'sub') void follow(message)
        else if (message.t === 'unsub') {
          open.get(message.sub)?.abort()
          open.delete(message.sub)
        }
      },
      close: () => end(),
    }
  }

/** Hands over each message of an event stream, and nothing for a comment. */
async function read(body: ReadableStream<Uint8Array>, hear: (message?: Json) => void): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
    rest = lines.pop()!
    hear()
    for (const line of lines) if (line.startsWith('data:')) hear(JSON.parse(line.slice(5)))
  }
}
