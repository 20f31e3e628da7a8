// The messages of a room as elements: one for each question and answer, kept while it changes.

import { show as showProse } from './prose.js'

const SAID = { done: 'The answer is complete.', error: 'The answer failed.', cancelled: 'The answer was stopped.' }

/** The list. `onAgain(id)` has an answer written anew, `onSaid(text)` tells those who do not see the page. */
export class Messages {
  #place
  #shown = new Map() // id -> { item, element, update }
  #on

  constructor(place, on) {
    this.#place = place
    this.#on = on
    place.replaceChildren()
  }

  /** Show these items, in this order. Answers whether there is more to read than before. */
  show(items) {
    const wanted = new Set(items.map(({ id }) => id))
    for (const [id, { element }] of this.#shown) {
      if (wanted.has(id)) continue
      element.remove()
      this.#shown.delete(id)
    }
    let place = this.#place.firstElementChild
    let changed = false
    let queued = false
    for (const item of items) {
      const known = this.#shown.get(item.id) ?? this.#make(item)
      if (known.item !== item || known.queued !== queued) {
        known.update(item, queued)
        if (known.item && known.item.status !== item.status && SAID[item.status]) this.#on.onSaid(SAID[item.status])
        Object.assign(known, { item, queued })
        changed = true
      }
      queued ||= item.status === 'waiting' || item.status === 'streaming'
      if (known.element === place) place = place.nextElementSibling
      else this.#place.insertBefore(known.element, place)
    }
    return changed
  }

  #make({ id, role }) {
    const made = role === 'user' ? question() : answer(() => this.#on.onAgain(id), this.#on.onSaid)
    this.#shown.set(id, made)
    return made
  }
}

function question() {
  const text = part('h3', 'text')
  const element = part('li', 'question', text)
  return {
    element,
    update(item) {
      text.textContent = item.text
    },
  }
}

function answer(again, said) {
  const text = part('div', 'prose')
  const restarted = part('p', 'restarted')
  const note = part('p', 'note')
  const state = part('span', 'state')
  const facts = part('span', 'facts')
  const anew = button('again', 'Ask again', again)
  const copy = button('copy', '', () => navigator.clipboard.writeText(copied).then(() => said('The answer is copied.')))
  copy.ariaLabel = copy.title = 'Copy'
  let copied = ''
  const foot = part('footer', '', state, facts, part('span', 'actions', copy, anew))
  const element = part('li', 'answer', restarted, text, note, foot)

  function update(item, queued) {
    const ended = item.status === 'done' || item.status === 'error' || item.status === 'cancelled'
    element.dataset.status = queued && item.status === 'waiting' ? 'queued' : item.status
    element.setAttribute('aria-busy', String(!ended))
    showProse(text, item.text, item.status === 'done')
    text.hidden = !item.text && item.status !== 'streaming'
    restarted.textContent = restart(item)
    restarted.hidden = !restarted.textContent
    note.replaceChildren(...(item.note ? [icon('fault'), item.note] : []))
    note.hidden = !item.note
    state.textContent = stateOf(item, queued)
    facts.textContent = factsOf(item)
    anew.hidden = !ended
    anew.lastChild.textContent = item.status === 'error' ? 'Try again' : 'Ask again'
    copied = item.text
    copy.hidden = !ended || !item.text || !navigator.clipboard
  }

  return { element, update }
}

function stateOf({ status }, queued) {
  if (status === 'waiting') return queued ? 'Waits for the answer above' : 'Thinking'
  return { streaming: 'Writing', done: '', error: 'Failed', cancelled: 'Stopped' }[status]
}

function restart({ attempt = 1, resumed }) {
  if (attempt < 2) return ''
  const how = resumed ? 'it goes on from where it was' : 'it was begun anew'
  return `The server was restarted while this was written: ${how} (attempt ${attempt}).`
}

function factsOf({ model, tokens, seconds }) {
  const known = [model, tokens && `${tokens} tokens`, seconds !== undefined && `${seconds} s`]
  return known.filter(Boolean).join(' · ')
}

function part(tag, name, ...inside) {
  const element = document.createElement(tag)
  if (name) element.className = name
  element.append(...inside)
  return element
}

function button(symbol, label, onclick) {
  const made = part('button', symbol, icon(symbol), label)
  made.type = 'button'
  made.addEventListener('click', onclick)
  return made
}

function icon(symbol) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  use.setAttribute('href', `#i-${symbol}`)
  svg.append(use)
  return svg
}
