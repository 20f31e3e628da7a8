// Drives one published client over standard input and output: one JSON command a line, one JSON answer a line.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import WebSocket from 'ws'

const name = process.argv[2]
const { Stream } = name.startsWith('browser') ? await bundled() : createRequire(import.meta.url)(name)

/** A browser package as a page gets it: through a bundler, with the browser's own WebSocket. */
async function bundled() {
  globalThis.WebSocket ??= WebSocket
  const built = await build({
    stdin: { contents: `export { Stream } from '${name}'`, resolveDir: import.meta.dirname ?? process.cwd() },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  })
  return import(`data:text/javascript;base64,${Buffer.from(built.outputFiles[0].contents).toString('base64')}`)
}

// `ws` makes an error that nobody listens for fatal, and these clients listen for none; a browser just closes the socket.
const { emit } = WebSocket.prototype
WebSocket.prototype.emit = function (event, ...rest) {
  return event === 'error' && this.listenerCount('error') === 0 ? false : emit.call(this, event, ...rest)
}

const streams = new Map()
const rooms = new Map()

const commands = {
  open: ({ client, url }) => {
    streams.set(client, new Stream(url.replace('http', 'ws')))
    return {}
  },
  join: ({ client, as, stream, group, id, events }) => {
    const of = streams.get(client)
    const subscription = id ? of.subscribeItem(stream, group, id) : of.subscribeGroup(stream, group)
    const room = { subscription, changes: 0, events: [] }
    subscription.addChangeListener(() => room.changes++)
    for (const type of events ?? []) subscription.onEvent(type, (data) => room.events.push([type, data]))
    rooms.set(as, room)
    return {}
  },
  look: ({ as }) => {
    const { subscription, changes, events } = rooms.get(as)
    return { state: subscription.getState(), changes, events }
  },
  leave: ({ as }) => {
    rooms.get(as).subscription.close()
    return {}
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  process.stdout.write(JSON.stringify(commands[command.do](command)) + '\n')
}
process.exit(0)
