// A broadcast loop over `ws`: encode the change once, then send() on every socket. Most Node servers do it so.
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'
import { change, onOrder, paced } from './change.js'

const http = createServer((_, response) => response.end('a WebSocket, please'))
const { clients } = new WebSocketServer({ server: http, perMessageDeflate: false })

const publish = (n) => {
  const text = JSON.stringify(change(n))
  for (const socket of clients) socket.send(text)
}

onOrder((order) => {
  const [first] = clients
  paced(order, publish, () => first.bufferedAmount)
})
http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log(`ready ${http.address().port}`))
