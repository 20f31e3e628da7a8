/** The other end of a WebSocket, in the test's hands: it opens, speaks and ends when it is told to. */

import type { SocketLike } from '../src/index.ts'

export interface Message extends Record<string, any> {
  t: string
}

export class PeerSocket implements SocketLike {
  onopen: ((event: any) => void) | null = null
  onmessage: ((event: any) => void) | null = null
  onclose: ((event: any) => void) | null = null
  onerror: ((event: any) => void) | null = null
  readonly sent: Message[] = []
  closed = false
  readonly url: string
  readonly protocols: string[]

  constructor(url: string, protocols: string[]) {
    this.url = url
    this.protocols = protocols
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.closed = true
  }

  /** The server accepts it and says hello. */
  accept(ping = 20): this {
    this.onopen?.({})
    return this.say({ t: 'hello', epoch: 'e', ping })
  }

  say(...messages: Message[]): this {
    for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) })
    return this
  }

  /** The connection breaks. */
  break(code = 1006): void {
    this.onclose?.({ code, reason: '' })
  }

  /** What was sent of one kind. */
  of(t: string): Message[] {
    return this.sent.filter((message) => message.t === t)
  }

  /** Answers a subscription with a whole state; its feed is 100 + its number. */
  fill(sub: number, items: [version: number, created: number, data: object][], version = 0, more: object = {}): this {
    const v = Math.max(version, ...items.map(([version]) => version))
    return this.say(
      { t: 'subscribed', sub, f: 100 + sub, epoch: 'e' },
      { t: 'page', sub, v, items },
      { t: 'complete', sub, v, ...more },
    )
  }
}

/** A server: the sockets that were opened to it, the newest last. */
export function peer() {
  const sockets: PeerSocket[] = []
  class Socket extends PeerSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      sockets.push(this)
    }
  }
  return {
    WebSocket: Socket,
    sockets,
    get last(): PeerSocket {
      const socket = sockets.at(-1)
      if (!socket) throw new Error('no socket was opened')
      return socket
    },
  }
}
