import { connect } from '/headwater/client.js'

// The page of the chat. It follows one channel, shows what the server tells, and posts what you
// write. What it shows comes only from the stream: your own message too, so every window shows the same.

const MOST_SHOWN = 500 // messages kept on the page; older ones stay on the server
const SEND_TIMEOUT_MS = 10_000
const NEAR_END_PX = 80

const page = Object.fromEntries(
  ['channel', 'channel-form', 'empty', 'latest', 'message-form', 'messages', 'problem', 'status', 'text', 'user'].map(
    (id) => [id, document.getElementById(id)],
  ),
)

// --- the list: one element per message, in the order of the stream

const shown = new Map() // id of a message -> { item, element }

// An item that has not changed is the same object as before, so its element may stay.
function show(items) {
  const follows = isAtEnd()
  const newest = items.slice(-MOST_SHOWN)
  const wanted = new Set(newest.map(({ id }) => id))
  const grown = newest.length > 0 && !shown.has(newest.at(-1).id)
  for (const [id, { element }] of shown) {
    if (wanted.has(id)) continue
    element.remove()
    shown.delete(id)
  }
  let place = page.messages.firstElementChild
  for (const item of newest) {
    let known = shown.get(item.id)
    if (known?.item !== item) {
      const element = render(item)
      if (known?.element === place) place = element
      known?.element.replaceWith(element)
      known = { item, element }
      shown.set(item.id, known)
    }
    if (known.element === place) place = place.nextElementSibling
    else page.messages.insertBefore(known.element, place)
  }
  page.empty.hidden = !channel.ready || newest.length > 0
  if (follows) toEnd()
  else if (grown) page.latest.hidden = false
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
  const body = { channel_id: channel.wanted.group, message, user_id: user }
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
function storage(name) {
  try {
    return window[name]
  } catch {}
}

function remember(name, value) {
  try {
    localStorage.setItem(`chat-${name}`, value)
  } catch {}
}

function recall(name) {
  return storage('localStorage')?.getItem(`chat-${name}`)
}

// --- the page

function channelOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || 'general'
  } catch {
    return 'general'
  }
}

// What a channel held is kept over a refresh of the page, which then asks only for what is new.
const client = connect('/', { keep: storage('sessionStorage') })
let channel = null

function enter(name) {
  page.channel.value = name
  document.title = `${name} · Chat`
  channel?.close()
  channel = client.group('chatMessage', name, { limit: MOST_SHOWN })
  channel.addChangeListener(show)
  channel.onEvent('error', ({ message }) => tell(message))
  shown.clear()
  page.messages.replaceChildren()
  show(channel.getState())
  toEnd()
}

client.onStatus((status) => {
  page.status.textContent = status
  page.status.dataset.state = status
})

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
  for (const { element } of shown.values()) element.classList.toggle('own', element.dataset.user === user)
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
