// Markdown as models write it, made into elements: paragraphs, headings, lists, quotes, code, bold, italic, links.
// Everything else stays text, and nothing is ever read as HTML.

/**
 * Show `text` in `place`. As it grows only its last block is made anew, so what is selected stays so. Where it is not
 * `whole`, marks that are open are taken as closed, so that no half of one is seen.
 */
export function show(place, text, whole) {
  const blocks = blocksOf(whole ? text : closed(text))
  const shown = (place.blocks ??= [])
  let same = 0
  while (same < blocks.length && shown[same] === key(blocks[same])) same += 1
  while (place.children.length > same) place.lastElementChild.remove()
  for (const block of blocks.slice(same)) place.append(elementOf(block))
  place.blocks = blocks.map(key)
}

const key = ({ kind, lines }) => `${kind}\n${lines.join('\n')}`

/** The text with marks of its last line that are still open, closed. */
function closed(text) {
  if ((text.match(/^\s*(?:```|~~~)/gm) ?? []).length % 2) return text // in a block of code they are no marks
  const whole = text.replace(/(?<=\s|^)[*_`[]+$/, '')
  const line = whole.slice(whole.lastIndexOf('\n') + 1).replace(/^\s*[*+-]\s/, '')
  const count = (mark) => line.split(mark).length - 1
  if (count('`') % 2) return `${whole}\``
  if (count('**') % 2) return `${whole.replace(/\*$/, '')}**`
  return (count('*') - 2 * count('**')) % 2 ? `${whole}*` : whole
}

const FENCE = /^\s*(`{3,}|~{3,})\s*([\w+#.-]*)/
const HEADING = /^(#{1,6})\s+(.*)/
const BULLET = /^(\s*)[-*+]\s+(.*)/
const NUMBER = /^(\s*)(\d{1,9})[.)]\s+(.*)/
const QUOTE = /^>\s?(.*)/
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/

/** The blocks of a text; a fence that is still open is a block of code already. */
function blocksOf(text) {
  const blocks = []
  let block = null
  const open = (kind, ...lines) => blocks.push((block = { kind, lines }))
  for (const line of text.split('\n')) {
    const fence = FENCE.exec(line)
    if (block?.fence) {
      if (fence?.[1].startsWith(block.fence) && !fence[2]) block = null
      else block.lines.push(line)
    } else if (fence) {
      open('code')
      block.fence = fence[1]
      block.language = fence[2]
    } else if (!line.trim()) {
      if (block?.kind !== 'list') block = null
      else block.gap = true
    } else if (RULE.test(line)) {
      open('rule', line)
      block = null
    } else if (HEADING.test(line)) {
      open('heading', line)
      block = null
    } else if (BULLET.test(line) || NUMBER.test(line)) {
      const ordered = NUMBER.test(line)
      const nested = block?.kind === 'list' && /^\s{2,}/.test(line)
      if (block?.kind === 'list' && (nested || block.ordered === ordered)) block.lines.push(line)
      else {
        open('list', line)
        block.ordered = ordered
      }
      block.gap = false
    } else if (QUOTE.test(line)) {
      if (block?.kind === 'quote') block.lines.push(line)
      else open('quote', line)
    } else if (block && (block.kind === 'paragraph' || (block.kind === 'list' && (!block.gap || /^\s{2,}/.test(line))))) {
      block.lines.push(line)
    } else {
      open('paragraph', line)
    }
  }
  return blocks
}

function elementOf({ kind, lines, language, ordered }) {
  if (kind === 'code') return code(lines.join('\n'), language)
  if (kind === 'rule') return document.createElement('hr')
  if (kind === 'list') return list(lines, ordered)
  if (kind === 'quote') return element('blockquote', lines.map((line) => QUOTE.exec(line)[1]).join('\n'))
  if (kind === 'paragraph') return element('p', lines.join('\n'))
  const [, { length }, text] = HEADING.exec(lines[0])
  return element(`h${Math.min(6, length + 2)}`, text) // below the page's own headings
}

function element(tag, text) {
  const made = document.createElement(tag)
  made.append(...inline(text))
  return made
}

function code(text, language) {
  const block = document.createElement('pre')
  const inner = document.createElement('code')
  inner.textContent = text
  block.tabIndex = 0 // it may be wider than the page, and keys scroll it
  if (language) block.dataset.language = language
  block.append(inner)
  return block
}

/** A list; entries that are indented are lists of their own in the entry above them. */
function list(lines, ordered) {
  const made = document.createElement(ordered ? 'ol' : 'ul')
  const entries = []
  for (const line of lines) {
    const found = BULLET.exec(line) ?? NUMBER.exec(line)
    if (found && found[1].length < 2) entries.push({ number: found[3] === undefined ? 0 : Number(found[2]), text: [found.at(-1) ?? found[2]], inner: [] })
    else if (found && entries.length) entries.at(-1).inner.push(line.slice(2))
    else if (entries.length) (entries.at(-1).inner.length ? entries.at(-1).inner : entries.at(-1).text).push(line.trim())
    else entries.push({ number: 0, text: [line.trim()], inner: [] })
  }
  if (ordered && entries[0].number > 1) made.start = entries[0].number
  for (const { text, inner } of entries) {
    const entry = element('li', text.join('\n'))
    if (inner.length) entry.append(list(inner, NUMBER.test(inner[0])))
    made.append(entry)
  }
  return made
}

const INLINE = /(`+)([\s\S]+?)\1(?!`)|\*\*(?=\S)([\s\S]+?)\*\*|\*(?=\S)([^*]+?)\*|(?<![\w_])_(?=\S)([^_]+?)_(?!\w)|\[([^\]]+)\]\((https?:[^\s)]+)\)/

function inline(text) {
  const found = INLINE.exec(text)
  if (!found) return [text]
  const [whole, , mono, bold, starred, lined, label, address] = found
  const rest = inline(text.slice(found.index + whole.length))
  return [text.slice(0, found.index), part(), ...rest]

  function part() {
    if (mono !== undefined) return Object.assign(document.createElement('code'), { textContent: mono.trim() })
    if (bold !== undefined) return element('strong', bold)
    if (label !== undefined) return Object.assign(element('a', label), { href: address, target: '_blank', rel: 'noopener noreferrer' })
    return element('em', starred ?? lined)
  }
}
