// The page of the chat. It joins one channel over a WebSocket, shows what the server tells, and posts what you
// write. What it shows comes only from the stream: your own message too, so every window shows the same.

const MOST_SHOWN = 500 // messages kept on the page; older ones stay on the server
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 15_000
const SEND_TIMEOUT_MS = 10_000
const NEAR_END_PX = 80

const page = Object.fromEntries(
  ['channel', 'channel-form', 'empty', 'latest', 'message-form', 'messages', 'problem', 'status', 'text', 'user'].map(
    (id) => [id, document.getElementById(id)],
  ),
)

// --- the connection: joins, and joins again after every break

class Channel {
  #socket = null
  #retries = 0
  #timer = 0
  #subscription = 0

  constructor(stream, onEvent, onStatus) {
    this.stream = stream
    this.group = ''
    this.onEvent = onEvent
    this.onStatus = onStatus
    addEventListener('online', () => this.connect())
    addEventListener('offline', () => this.#lost('offline'))
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && !this.#socket) this.connect()
    })
  }

  join(group) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#tell('leave')
    this.group = group
    this.#subscription += 1
    if (this.#socket?.readyState === WebSocket.OPEN) this.#tell('join')
    else if (!this.#socket) this.connect()
  }

  connect() {
    clearTimeout(this.#timer)
    this.#drop()
    this.onStatus(this.#retries ? 'reconnecting' : 'connecting')
    const address = new URL('/', location.href)
    address.protocol = address.protocol.replace('http', 'ws')
    const socket = (this.#socket = new WebSocket(address))
    socket.onopen = () => this.#tell('join')
    socket.onmessage = ({ data }) => this.#heard(JSON.parse(data))
    socket.onclose = () => this.#lost(navigator.onLine ? 'reconnecting' : 'offline')
  }

  #tell(type) {
    const data = { streamName: this.stream, groupId: this.group, subscriptionId: `chat-${this.#subscription}` }
    this.#socket.send(JSON.stringify({ type, data }))
  }

  #heard({ streamName, groupId, event }) {
    if (streamName !== this.stream || groupId !== this.group) return
    if (event.type === 'sync') {
      this.#retries = 0
      this.onStatus('live')
    }
    this.onEvent(event)
  }

  #lost(status) {
    this.#drop()
    this.onStatus(status)
    const longest = Math.min(FIRST_RETRY_MS * 2 ** this.#retries, LONGEST_RETRY_MS)
    this.#retries += 1
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.connect(), longest * (0.5 + Math.random() / 2))
  }

  #drop() {
    if (!this.#socket) return
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null
    this.#socket.close()
    this.#socket = null
  }
}

// --- the list: one element per message, in the order of the stream

const shown = new Map() // id of a message -> its element

function apply(event) {
  const follows = isAtEnd()
  if (event.type === 'event') return refused(event.event)
  if (event.type === 'sync') replaceAll(event.data)
  else if (event.type === 'delete') remove(event.data.id)
  else if (event.type === 'create' || event.type === 'update') put(event.data)
  page.empty.hidden = shown.size > 0
  if (follows || event.type === 'sync') toEnd()
  else if (event.type === 'create') page.latest.hidden = false
}

function replaceAll(items) {
  page.messages.setAttribute('aria-busy', 'true')
  const wanted = new Set(items.map((item) => item.id))
  for (const id of [...shown.keys()]) if (!wanted.has(id)) remove(id)
  const newest = items.slice(-MOST_SHOWN)
  newest.forEach(put)
  if ([...shown.keys()].some((id, place) => id !== newest[place].id)) sort(newest)
  page.messages.removeAttribute('aria-busy')
}

// A message that was deleted and set again while we were away has a new place.
function sort(items) {
  const elements = items.map(({ id }) => [id, shown.get(id)])
  shown.clear()
  for (const [id, element] of elements) {
    shown.set(id, element)
    page.messages.append(element)
  }
}

function refused({ type, data }) {
  if (type === 'error') tell(data.message)
}

function put(item) {
  const element = render(item)
  const before = shown.get(item.id)
  shown.set(item.id, element)
  if (before) before.replaceWith(element)
  else page.messages.append(element)
  if (shown.size > MOST_SHOWN) remove(shown.keys().next().value)
}

function remove(id) {
  shown.get(id)?.remove()
  shown.delete(id)
}

function render({ user_id: user, message, timestamp }) {
  const item = document.createElement('li')
  item.dataset.user = user
  item.classList.toggle('own', user === page.user.value.trim())
  item.append(part('span', 'user', user), time(timestamp), part('p', 'text', message))
  return item
}

// textContent, never innerHTML: what people write is text.
function part(tag, name, text) {
  const element = document.createElement(tag)
  element.className = name
  element.textContent = text
  return element
}

function time(timestamp) {
  const at = new Date(timestamp)
  const valid = !Number.isNaN(at.getTime())
  const today = valid && at.toDateString() === new Date().toDateString()
  const style = today ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' }
  const element = part('time', 'time', valid ? new Intl.DateTimeFormat(undefined, style).format(at) : '')
  if (valid) element.dateTime = at.toISOString()
  return element
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = page.messages
  return scrollHeight - scrollTop - clientHeight < NEAR_END_PX
}

function toEnd() {
  page.messages.scrollTop = page.messages.scrollHeight
  page.latest.hidden = true
}

// --- writing: one message after the other, so that they arrive as they were written

let sending = Promise.resolve()

async function send() {
  const message = page.text.value.trim()
  const user = page.user.value.trim()
  if (!message || !page['message-form'].reportValidity()) return
  page.text.value = ''
  grow()
  const body = { channel_id: channel.group, message, user_id: user }
  const sent = sending.then(() => post(body))
  sending = sent.catch(() => {})
  try {
    await sent
    tell('')
  } catch (error) {
    tell(`Not sent: ${error.message}`)
    page.text.value ||= message // nobody types a message twice
    grow()
  }
}

async function post(body) {
  const response = await fetch('/chat-messages', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
  }).catch(() => {
    throw new Error('the server cannot be reached.')
  })
  if (response.ok) return
  const problem = await response.json().catch(() => ({}))
  throw new Error(problem.detail || problem.message || `the server answered ${response.status}.`)
}

function tell(problem) {
  page.problem.textContent = problem
  page.problem.hidden = !problem
}

function grow() {
  page.text.style.height = 'auto'
  page.text.style.height = `${page.text.scrollHeight + 2}px`
}

// Some browsers refuse storage, in private windows for example: the chat works without.
function remember(name, value) {
  try {
    localStorage.setItem(`chat-${name}`, value)
  } catch {}
}

function recall(name) {
  try {
    return localStorage.getItem(`chat-${name}`)
  } catch {
    return null
  }
}

// --- the page

function channelOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || 'general'
  } catch {
    return 'general'
  }
}

function enter(name) {
  page.channel.value = name
  document.title = `${name} · Chat`
  replaceAll([])
  page.empty.hidden = true
  channel.join(name)
}

function showStatus(status) {
  page.status.textContent = status
  page.status.dataset.state = status
}

const channel = new Channel('chatMessage', apply, showStatus)

page.user.value = recall('user') ?? `guest-${Math.floor(1000 + Math.random() * 9000)}`
remember('user', page.user.value)
page['message-form'].addEventListener('submit', (event) => {
  event.preventDefault()
  send()
})
page['channel-form'].addEventListener('submit', (event) => {
  event.preventDefault()
  location.hash = encodeURIComponent(page.channel.value.trim())
})
page.channel.addEventListener('change', () => page['channel-form'].requestSubmit())
page.user.addEventListener('change', () => {
  const user = page.user.value.trim()
  remember('user', user)
  for (const element of shown.values()) element.classList.toggle('own', element.dataset.user === user)
})
page.text.addEventListener('input', grow)
page.text.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  send()
})
page.latest.addEventListener('click', toEnd)
page.messages.addEventListener('scroll', () => {
  if (isAtEnd()) page.latest.hidden = true
})
addEventListener('hashchange', () => enter(channelOfAddress()))

enter(channelOfAddress())
