/**
 * Places in what runs -> places in what people wrote. Owns the maps of the project's files and the way stack
 * traces are written; a map is decoded when the first error passes through its file.
 */

export interface Place {
  readonly line: number
  readonly column: number
}

/** For each generated line: pairs of generated column and original place, by column. Lines count from 0. */
type Lines = readonly (readonly (readonly [number, number, number])[])[]

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]))

function numbersOf(segment: string): number[] {
  const numbers: number[] = []
  let value = 0
  let shift = 0
  for (const digit of segment) {
    const bits = VALUES.get(digit) ?? 0
    value += (bits & 31) << shift
    shift += 5
    if ((bits & 32) === 0) {
      numbers.push((value & 1) === 1 ? -(value >>> 1) : value >>> 1)
      value = shift = 0
    }
  }
  return numbers
}

/** The lines of a source map of one source. */
export function decode(map: string): Lines {
  const { mappings } = JSON.parse(map) as { mappings: string }
  let line = 0
  let column = 0
  return mappings.split(';').map((segments) => {
    let generated = 0
    const pairs: [number, number, number][] = []
    for (const segment of segments ? segments.split(',') : []) {
      const [dGenerated = 0, , dLine = 0, dColumn = 0] = numbersOf(segment)
      generated += dGenerated
      line += dLine
      column += dColumn
      pairs.push([generated, line, column])
    }
    return pairs
  })
}

/** The original place of a generated one; lines and columns count from 1. */
export function locate(lines: Lines, place: Place): Place | undefined {
  const pairs = lines[place.line - 1]
  if (pairs === undefined || pairs.length === 0) return undefined
  let found = pairs[0] as readonly [number, number, number]
  for (const pair of pairs) {
    if (pair[0] > place.column - 1) break
    found = pair
  }
  return { line: found[1] + 1, column: found[2] + 1 }
}

export class SourceMaps {
  readonly #texts = new Map<string, () => string | undefined>()
  readonly #lines = new Map<string, Lines | undefined>()

  /** `read` gives the map of a file when it is needed. */
  add(file: string, read: () => string | undefined): void {
    this.#texts.set(file, read)
  }

  has(file: string): boolean {
    return this.#texts.has(file)
  }

  /** The original place in that file; the same place where nothing is known. */
  original(file: string, place: Place): Place {
    const lines = this.#linesOf(file)
    return (lines && locate(lines, place)) ?? place
  }

  #linesOf(file: string): Lines | undefined {
    if (!this.#lines.has(file)) {
      const text = this.#texts.get(file)?.()
      this.#lines.set(file, text === undefined ? undefined : decode(text))
    }
    return this.#lines.get(file)
  }
}

/** Have V8 write stack traces in terms of the sources, without the frames of the worker in folder `own`. */
export function installStacks(maps: SourceMaps, own: string): void {
  Error.prepareStackTrace = (error, sites) => {
    const lines: string[] = []
    // From the outermost: what the engine did for the worker is the worker's too.
    let isOwn = true
    for (const site of [...sites].reverse()) {
      const file = site.getFileName() ?? ''
      isOwn = file.includes(own) || (isOwn && (file === '' || file.startsWith('node:')))
      if (!isOwn) lines.push(`    at ${frameOf(maps, site, file)}`)
    }
    return [headOf(error), ...lines.reverse()].join('\n')
  }
}

function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error)
  } catch {
    return 'Error'
  }
}

function frameOf(maps: SourceMaps, site: NodeJS.CallSite, file: string): string {
  const text = String(site)
  const line = site.getLineNumber()
  const column = site.getColumnNumber()
  if (line === null || column === null || !maps.has(file)) return text
  const place = maps.original(file, { line, column })
  return text
    .replace(`${file}:${line}:${column}`, `${file}:${place.line}:${place.column}`)
    .replace(/^(async )?Object\.execute /, '<module> ')
}
