// What every peer shares: the text of a change, byte for byte as long as the one Headwater sends in protocol v0,
// and the pace: so many changes per turn of the loop, no faster than the subscribers' sockets drain.

const PAD = 'x'.repeat(70)
const HIGH_WATER_BYTES = 256 * 1024

/** The object that stands for change number `n`; `stringify` it once per change. */
export const change = (n) => ({
  timestamp: Date.now() + 0.001,
  streamName: 'room',
  groupId: 'g',
  id: 'item',
  event: { type: 'update', data: { n, pad: PAD, id: 'item' } },
})

/** The same as text, spliced: what a server does that encodes the item only. */
export const changeText = (n) =>
  `{"timestamp":${Date.now()}.001,"streamName":"room","groupId":"g","id":"item",` +
  `"event":{"type":"update","data":{"n":${n},"pad":"${PAD}","id":"item"}}}`

/** Calls `publish(n)` for n in 0..changes-1, `burst` of them in each turn of the loop; `buffered` answers in bytes. */
export const paced = ({ changes, burst }, publish, buffered) => {
  let n = 0
  const turn = () => {
    for (let k = 0; k < burst && n < changes; k++) publish(n++)
    if (n === changes) return
    if (buffered() > HIGH_WATER_BYTES) setTimeout(turn, 1)
    else setImmediate(turn)
  }
  turn()
}

/** Runs `start(order)` for each line of JSON on standard input. */
export const onOrder = (start) => {
  let text = ''
  process.stdin.on('data', (chunk) => {
    const lines = (text + chunk).split('\n')
    text = lines.pop()
    for (const line of lines) start(JSON.parse(line))
  })
  process.stdin.on('end', () => process.exit(0))
}
