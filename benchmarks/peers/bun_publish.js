// Bun's own publish to a topic: the fastest broadcast that a JavaScript server offers. Written for Bun.
import { changeText, onOrder, paced } from './change.js'

let first
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('a WebSocket, please')),
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe('room')
      first ??= socket
    },
    message() {},
  },
})

onOrder((order) =>
  paced(
    order,
    (n) => server.publish('room', changeText(n)),
    () => first.getBufferedAmount(),
  ),
)
console.log(`ready ${server.port}`)
