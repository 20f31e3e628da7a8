import { connect } from '/headwater/client.js'

import { Messages } from './messages.js'
import { ask, askAgain, stop, whichModel } from './server.js'

// The page of the chat with a model. What it shows comes only from streams: the list of rooms, what is being answered
// anywhere, and the messages of one room. What you do is a request, and shows when the streams tell of it.

const MESSAGES = 60 // of a room at first; older ones are asked for
const NEAR_END_PX = 60

const page = Object.fromEntries([...document.querySelectorAll('[id]')].map((element) => [element.id, element]))

// Some browsers refuse storage, in private windows for example: the page works without.
const client = connect('/', { keep: storage() })
const rooms = client.group('rooms', 'all')
const answering = client.group('answering', 'all')

function storage() {
  try {
    return sessionStorage
  } catch {}
}

// --- rooms

function showRooms() {
  const busy = new Set(answering.getState().map(({ room }) => room))
  const newest = [...rooms.getState()].sort((a, b) => b.asked.localeCompare(a.asked))
  page['room-list'].replaceChildren(...newest.map((one) => roomLink(one, busy.has(one.id))))
  page['no-rooms'].hidden = !rooms.ready || newest.length > 0
  showTitle()
}

function roomLink({ id, title, asked }, busy) {
  const link = part('a', { href: `#${encodeURIComponent(id)}` }, part('span', { className: 'name' }, title), facts())
  if (id === room.id) link.setAttribute('aria-current', 'page')
  link.classList.toggle('busy', busy)
  return part('li', {}, link)

  function facts() {
    return busy ? part('span', { className: 'when' }, 'answering') : part('time', { className: 'when', dateTime: asked }, since(asked))
  }
}

function since(iso) {
  const at = new Date(iso)
  const sameDay = at.toDateString() === new Date().toDateString()
  return new Intl.DateTimeFormat(undefined, sameDay ? { timeStyle: 'short' } : { day: 'numeric', month: 'short' }).format(at)
}

function part(tag, members, ...inside) {
  const element = Object.assign(document.createElement(tag), members)
  element.append(...inside)
  return element
}

function showTitle() {
  const { title = 'New room' } = rooms.getState().find(({ id }) => id === room.id) ?? {}
  page.title.textContent = title
  document.title = `${room.unfinished ? '● ' : ''}${title} · LLM chat`
}

// --- one room

let room = { id: '', unfinished: undefined }

function enter(id) {
  room.subscription?.close()
  const messages = new Messages(page.messages, { onAgain: (answer) => attempt(() => askAgain(id, answer)), onSaid: announce })
  const subscription = client.group('messages', id, { limit: MESSAGES })
  const entered = { id, messages, subscription, unfinished: undefined }
  room = entered
  subscription.addChangeListener(() => showMessages(entered))
  subscription.subscribe(() => showMessages(entered))
  tell('')
  showMessages(entered)
  showRooms()
  toEnd()
}

function showMessages(shown) {
  if (shown !== room) return
  const items = shown.subscription.getState()
  const follows = isAtEnd()
  const grown = shown.messages.show(items)
  shown.unfinished = items.find(({ status }) => status === 'waiting' || status === 'streaming')
  page.stop.hidden = !shown.unfinished
  page.empty.hidden = !shown.subscription.ready || items.length > 0
  page.earlier.hidden = !shown.subscription.hasMore
  if (shown.subscription.error) tell(shown.subscription.error.message)
  showTitle()
  if (follows) toEnd()
  else if (grown) page.latest.hidden = false
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = page.scroll
  return scrollHeight - scrollTop - clientHeight < NEAR_END_PX
}

function toEnd() {
  page.scroll.scrollTop = page.scroll.scrollHeight
  page.latest.hidden = true
}

// --- what you do

async function attempt(action) {
  try {
    await action()
    tell('')
    return true
  } catch (error) {
    tell(error.message)
    return false
  }
}

async function send(text = page.question.value) {
  if (!text.trim()) return
  const { id } = room
  write('')
  toEnd()
  if (!(await attempt(() => ask(id, text))) && !page.question.value) write(text) // nobody writes a question twice
}

function write(text) {
  page.question.value = text
  grow()
}

function grow() {
  page.question.style.height = 'auto'
  page.question.style.height = `${page.question.scrollHeight}px`
}

const halt = () => room.unfinished && attempt(() => stop(room.subscription, room.id, room.unfinished.id))

function tell(problem) {
  page.problem.textContent = problem
  page.problem.hidden = !problem
}

function announce(text) {
  page.announce.textContent = text
}

// --- who answers

async function showModel() {
  const { local, host, model, problem, suggestions } = await whichModel()
  page.hint.textContent = local ? 'Ready-made answers from this example’s own local server: no language model is connected.' : (problem ?? `${model} at ${host}`)
  page.hint.classList.toggle('problem', !!problem)
  page.endpoint.replaceChildren(part('strong', {}, local ? 'Local stand-in' : (model ?? 'No model')), part('span', {}, local ? 'no language model' : (host ?? '')))
  page.how.hidden = !local
  page.suggestions.replaceChildren(
    ...suggestions.map(({ label, text }) => part('li', {}, part('button', { type: 'button', onclick: () => send(text) }, label))),
  )
}

// --- the page

function roomOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1))
  } catch {
    return ''
  }
}

// A room is there once something has been asked in it; before that it is an address only.
function visit() {
  const id = roomOfAddress()
  if (!id) history.replaceState(null, '', `#${crypto.getRandomValues(new Uint32Array(2)).reduce((text, part) => text + part.toString(36), '')}`)
  enter(id || roomOfAddress())
}

client.onStatus((status) => {
  page.status.textContent = status
  document.body.dataset.connection = status
})
rooms.addChangeListener(showRooms)
answering.addChangeListener(showRooms)
addEventListener('hashchange', visit)
page.rooms.addEventListener('click', ({ target }) => {
  if (!target.closest('a')) return
  if (page.rooms.matches(':popover-open')) page.rooms.hidePopover()
  if (matchMedia('(hover: hover)').matches) page.question.focus()
})
page.composer.addEventListener('submit', (event) => {
  event.preventDefault()
  send()
})
page.question.addEventListener('input', grow)
page.question.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  send()
})
page.stop.addEventListener('click', halt)
page.latest.addEventListener('click', toEnd)
page.earlier.addEventListener('click', () => room.subscription.loadMore())
page.scroll.addEventListener('scroll', () => {
  if (isAtEnd()) page.latest.hidden = true
})
addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, textarea')
  if (event.key === 'Escape' && !page.rooms.matches(':popover-open')) halt()
  if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return
  event.preventDefault()
  page.question.focus()
})

visit()
showModel().catch((error) => tell(error.message))
