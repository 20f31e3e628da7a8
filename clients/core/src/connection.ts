/**
 * Stays connected: attempts with backoff, at once when the network or the page comes back, and an end to sockets that
 * are dead. What messages mean is the store's business.
 */

import { Backoff } from './backoff.ts'
import type { Link, OpenLink } from './link.ts'
import { Refused } from './refused.ts'
import { Renewal } from './renewal.ts'
import type { Settle } from './store.ts'
import { type Json, page, told } from './types.ts'

const OPEN_MS = 10_000
const PROBE_MS = 5_000
/** The first look for a better way, and the most that the growing times between two may be. */
const BETTER_MS = 4_000
const SELDOM_MS = 60_000
/** Without a word about it in `hello`, and for event streams, whose comments come every 15 seconds. */
const PING_MS = 20_000

export type Token = string | (() => string | undefined | Promise<string | undefined>)

export interface Carried {
  connected(): void
  disconnected(): void
  received(message: Json): void
  /** Ask the server whether it believes another token. */
  auth(token: string, settle: Settle): void
  /** There is no other token so far, instead of one that ends. */
  stale(reason: string): void
  /** `phase` or `reason` have changed. */
  changed(): void
}

export class Connection {
  phase: 'connecting' | 'open' | 'offline' = 'connecting'
  reason = ''
  /** The token that it came with, or that was taken since. */
  token: string | undefined
  readonly #url: URL
  readonly #openers: readonly OpenLink[]
  #given: Token | undefined
  readonly #carried: Carried
  readonly #renewal: Renewal
  readonly #backoff: Backoff
  #link: Link | undefined
  #running = false
  #attempt = 0
  /** Failures since the last message, which choose the opener until the first one has worked. */
  #failures = 0
  #works = false
  /** What it has was told to send. */
  #carries = false
  /** An attempt at a better way beside one that stands. */
  #trial: Link | undefined
  #trials = 0
  #better: ReturnType<typeof setTimeout> | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #watch: ReturnType<typeof setTimeout> | undefined
  #heardAt = 0
  #pingMs = PING_MS

  /** `openers`: what to try, the best first; in turn, while nothing has opened. */
  constructor(url: URL, openers: readonly OpenLink[], token: Token | undefined, carried: Carried, backoff = new Backoff()) {
    this.#url = url
    this.#openers = openers
    this.#given = token
    this.#carried = carried
    this.#backoff = backoff
    this.#renewal = new Renewal(
      () => this.auth(),
      (reason) => carried.stale(reason),
    )
  }

  get closed(): boolean {
    return !this.#running
  }

  open(): void {
    if (this.#running) return
    this.#running = true
    this.#listen('addEventListener')
    void this.#connect()
  }

  close(): void {
    if (!this.#running) return
    this.#running = false
    this.#listen('removeEventListener')
    this.#drop()
    this.#tell('offline', 'closed')
  }

  send(message: Json): void {
    if (this.phase === 'connecting' && !this.#watch) this.#expectOpening()
    this.#link?.send(message)
  }

  /** Another token will be given. False: nobody could be asked for one. */
  renew(): boolean {
    if (typeof this.#given !== 'function') return false
    this.#renewal.begin()
    return true
  }

  /** Say who asks, by another token. */
  async auth(token?: Token): Promise<void> {
    if (token !== undefined) this.#given = token
    const attempt = this.#attempt
    const text = this.phase === 'open' ? await this.#askToken() : undefined
    if (!this.#running || attempt !== this.#attempt) return
    // A link that has not opened, and nobody, are said by the next one.
    if (text === undefined) return this.#connect()
    await new Promise<void>((resolve, reject) => this.#carried.auth(text, (refusal) => (refusal ? reject(new Refused(refusal)) : resolve())))
    this.token = text
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retry)
    this.#drop()
    const attempt = this.#attempt
    const current = () => this.#running && attempt === this.#attempt
    this.#tell('connecting', this.reason)
    this.#expectOpening()
    // Twice the first, then all in turn; where the first has worked it is not what is wrong.
    const choice = this.#works || this.#failures < 2 ? 0 : (this.#failures - 1) % this.#openers.length
    let token: string | undefined
    try {
      token = await this.#askToken()
    } catch (fault) {
      // Which is no fault of the way that would have been tried.
      if (current()) this.#lost(told(fault), 0)
      return
    }
    if (!current()) return
    try {
      this.token = token
      this.#link = this.#openers[choice]!(this.#url, token, {
        ready: () => current() && this.#ready(),
        opened: () => {
          if (!current()) return
          this.#works ||= choice === 0
          if (choice && this.phase !== 'open') this.#seekBetter()
          this.#opened()
        },
        heard: (message) => current() && this.#heard(message),
        alive: () => this.#alive(),
        lost: (reason) => current() && this.#lost(reason),
      })
    } catch (fault) {
      if (current()) this.#lost(told(fault))
    }
  }

  #askToken(): undefined | string | Promise<string | undefined> {
    return typeof this.#given === 'function' ? this.#given() : this.#given
  }

  /** Try the best way now and then, while another one is in use: what stood against it may be gone. */
  #seekBetter(): void {
    clearTimeout(this.#better)
    const wait = Math.min(BETTER_MS * 2 ** this.#trials++, SELDOM_MS)
    this.#better = setTimeout(() => void this.#try(), (wait * (1 + Math.random())) / 2)
  }

  async #try(): Promise<void> {
    let attempt = this.#attempt
    const current = () => this.#running && attempt === this.#attempt
    const fail = () => {
      if (!current()) return
      this.#endTrial()
      this.#seekBetter()
    }
    this.#better = setTimeout(fail, OPEN_MS)
    try {
      const token = await this.#askToken()
      if (!current()) return
      let taken = false
      this.#trial = this.#openers[0]!(this.#url, token, {
        ready: () => {},
        opened: () => {
          if (!current()) return
          const link = this.#trial
          this.#trial = undefined
          this.#drop()
          attempt = this.#attempt
          this.#link = link
          this.token = token
          this.#works = taken = true
          this.#opened()
        },
        heard: (message) => taken && current() && this.#heard(message),
        alive: () => {},
        lost: (reason) => (taken ? current() && this.#lost(reason) : fail()),
      })
    } catch {
      fail()
    }
  }

  #endTrial(): void {
    clearTimeout(this.#better)
    const trial = this.#trial
    this.#trial = undefined
    trial?.close()
  }

  #expectOpening(): void {
    clearTimeout(this.#watch)
    this.#watch = setTimeout(() => this.#lost(`no answer in ${OPEN_MS / 1000} seconds`), OPEN_MS)
  }

  /** Something can be asked; whether anybody answers is to be seen. */
  #ready(): void {
    clearTimeout(this.#watch)
    this.#watch = undefined
    this.#tell('connecting', '')
    this.#carry()
  }

  #carry(): void {
    if (this.#carries) return
    this.#carries = true
    this.#carried.connected()
  }

  #opened(): void {
    this.#alive()
    this.#tell('open', '')
    this.#listenOn()
    this.#carry()
  }

  #heard(message: Json): void {
    this.#alive()
    this.#failures = 0
    this.#backoff.beginAnew()
    if (message.t === 'hello') this.#pingMs = message.ping * 1000 || PING_MS
    if (message.t === 'hello' || message.t === 'pong') this.#listenOn()
    this.#carried.received(message)
  }

  #alive(): void {
    this.#heardAt = Date.now()
  }

  /** Once nothing was heard for that long: `otherwise`. */
  #expect(ms: number, otherwise: () => void, since = this.#heardAt): void {
    clearTimeout(this.#watch)
    this.#watch = setTimeout(() => {
      if (this.#heardAt > since) this.#listenOn()
      else otherwise()
    }, ms)
  }

  #listenOn(): void {
    this.#expect(this.#pingMs, () => this.#ping(2 * this.#pingMs))
  }

  /** Ask for a sign of life, and take silence for death. */
  #ping(ms: number): void {
    this.send({ t: 'ping' })
    this.#expect(ms, () => this.#lost('the server has gone silent'))
  }

  #lost(reason: string, failures = 1): void {
    this.#drop()
    this.#failures += failures
    this.#tell('offline', reason)
    this.#retry = setTimeout(() => void this.#connect(), this.#backoff.wait())
  }

  #drop(): void {
    this.#attempt++
    this.#renewal.end()
    clearTimeout(this.#retry)
    clearTimeout(this.#watch)
    this.#watch = undefined
    this.#endTrial()
    const link = this.#link
    this.#link = undefined
    link?.close()
    if (this.#carries) {
      this.#carries = false
      this.#carried.disconnected()
    }
  }

  #tell(phase: Connection['phase'], reason: string): void {
    if (phase === this.phase && reason === this.reason) return
    this.phase = phase
    this.reason = reason
    this.#carried.changed()
  }

  #listen(how: 'addEventListener' | 'removeEventListener'): void {
    for (const type of ['online', 'pageshow']) page[how]?.(type, this.#wake)
    page[how]?.('offline', this.#sleep)
    page.document?.[how]('visibilitychange', this.#wake)
  }

  /** The network or the page is back: try now, or see whether the connection still lives. */
  readonly #wake = (): void => {
    if (page.document?.visibilityState === 'hidden') return
    // The first attempt may come too early for a network that has just returned.
    this.#backoff.beginAnew()
    this.#trials = 0
    if (this.phase === 'open' && !this.#works) this.#seekBetter()
    if (this.phase === 'offline') void this.#connect()
    // A link that cannot be asked is as good as its last word is new.
    else if (this.phase === 'open' && !(this.#link?.mute && Date.now() - this.#heardAt < this.#pingMs)) this.#ping(PROBE_MS)
  }

  readonly #sleep = (): void => this.#lost('the network is gone')
}
