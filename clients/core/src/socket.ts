/** A link over a WebSocket. */

import { type Hearing, type Link, type OpenLink, PLAIN } from './link.ts'
import { parse, toText } from './numbers.ts'
import { told } from './types.ts'

/** As much of a WebSocket as is used; that of browsers, of Node and of the package `ws` will do. */
export interface SocketLike {
  onopen: ((event: any) => void) | null
  onmessage: ((event: any) => void) | null
  onclose: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  send(text: string): void
  close(): void
}
export type SocketClass = new (url: string, protocols: string[]) => SocketLike

export const openSocket =
  (given?: SocketClass): OpenLink =>
  (address: URL, token: string | undefined, hearing: Hearing): Link => {
    const Socket = given ?? (globalThis as { WebSocket?: SocketClass }).WebSocket
    if (!Socket) throw new Error('there is no WebSocket here: give one as the option WebSocket')
    const url = new URL(address)
    url.protocol = url.protocol.replace('http', 'ws')
    const protocols = ['headwater.v1']
    if (token && PLAIN.test(token)) protocols.push(`headwater.token.${token}`)
    else if (token) url.searchParams.set('authToken', token)
    const socket = new Socket(url.href, protocols)
    const end = (reason?: string) => {
      // A socket that is closed while it connects still tells of an error.
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.onerror = () => {}
      socket.close()
      if (reason !== undefined) hearing.lost(reason)
    }
    socket.onopen = () => hearing.opened()
    socket.onmessage = ({ data }) => {
      try {
        hearing.heard(parse(data))
      } catch (fault) {
        end(`a message could not be read: ${told(fault)}`)
      }
    }
    socket.onclose = ({ code, reason }) => end(reason || `the connection was closed (${code})`)
    socket.onerror = () => {}
    return { send: (message) => socket.send(toText(message)), close: () => end() }
  }
