/**
 * What a handler may do with its run: `ctx.step`, which keeps results over attempts, and `ctx.owns`. Owns the
 * numbering of kept steps; the way to the server is `calls.ts`'s.
 */

import type { Call, Calls, Members, Service } from './calls.ts'
import { invalidInput } from './errors.ts'
import type { Invocation } from './invocation.ts'
import { originOf } from './items.ts'
import { nameOf, toJson } from './values.ts'

/** What a step gives that was not kept. */
const MISSING = Symbol('missing')

/** The run that an invocation is an attempt at. A request has none: its steps are done and not kept. */
export class Run {
  readonly #calls: Calls
  readonly #invocation: Invocation
  readonly #uses = new Map<string, number>()
  readonly #open = new Set<string>()

  constructor(calls: Calls, invocation: Invocation) {
    this.#calls = calls
    this.#invocation = invocation
  }

  /**
   * Do something once in the run, however often it is tried: a later attempt is given what `work` gave, as JSON. The
   * nth use of a name in one attempt is its own; uses at the same time need names of their own. What throws is not
   * kept.
   */
  readonly step = async <Value>(name: string, work: () => Value | Promise<Value>): Promise<Value> => {
    if (typeof name !== 'string' || name === '') throw invalidInput('A step needs a name that is a non-empty text.')
    if (this.#open.has(name)) throw invalidInput(`The step "${name}" is under way already; give it a name of its own.`)
    this.#open.add(name)
    const use = (this.#uses.get(name) ?? 0) + 1
    this.#uses.set(name, use)
    try {
      return await this.#once(`${name}#${use}`, work)
    } finally {
      this.#open.delete(name)
    }
  }

  /** Claim an item that a stream gave: whoever may read it may stop this run by it. */
  readonly owns = (item: unknown): Call => {
    const place = typeof item === 'object' && item !== null ? originOf(item) : undefined
    if (place === undefined) throw invalidInput(`ctx.owns takes an item that a stream gave, not ${nameOf(item)}.`)
    const { stream, group, id } = place
    return this.#begin('own', { stream, group, item: id }, this.owns)
  }

  async #once<Value>(name: string, work: () => Value | Promise<Value>): Promise<Value> {
    const { run, resumed } = this.#invocation.header
    if (run !== undefined && run !== '' && resumed === true) {
      const found = (await this.#begin('kept', { name }, this.step)) as unknown
      if (found !== MISSING) return found as Value
    }
    const value = await work()
    if (run !== undefined && run !== '') await this.#begin('keep', { name }, this.step, () => toJson(value ?? null, 'result'))
    return value
  }

  #begin(method: string, more: Members, below: Function, data?: () => string): Call {
    const { run = '', attempt = 1 } = this.#invocation.header
    return this.#calls.begin(this.#invocation, SERVICE, method, { run, attempt, ...more }, below, data)
  }
}

const SERVICE: Service = {
  name: 'runs',
  about: ({ name }) => ({ name }),
  check: () => undefined,
  read: (_, value) => (value === null ? MISSING : (value as { value: unknown }).value),
}
