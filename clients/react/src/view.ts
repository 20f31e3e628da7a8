/**
 * What a component sees of a subscription. Owns when that counts as changed: only what the component has read counts.
 */

import type { Ended, GroupSubscription, ItemSubscription, Status } from 'headwater/client'

type AnySubscription = GroupSubscription<any> | ItemSubscription<any>
type Select = ((state: any) => unknown) | undefined

export interface View<Data> {
  data: Data
  /** Whether `data` is what the server had at some time, and not the emptiness before. */
  ready: boolean
  status: Status
  /** Why it is not live. */
  reason: string
  /** Why the server ended the subscription. */
  error: Ended | null
  /** Whether a window has older items. */
  hasMore: boolean
}

/** What a component sees without a subscription, and on the server. */
export const emptyView = (state: unknown, select: Select): View<any> => ({
  data: select ? select(state) : state,
  ready: false,
  status: 'connecting',
  reason: '',
  error: null,
  hasMore: false,
})

export class Reader {
  readonly #subscription: AnySubscription | null
  readonly #empty: unknown
  readonly #used = new Set<keyof View<any>>()
  #latest: View<any> | undefined
  #seen: View<any> | undefined
  #state: unknown
  #select: Select
  #server: View<any> | undefined

  constructor(subscription: AnySubscription | null, empty: unknown) {
    this.#subscription = subscription
    this.#empty = empty
  }

  readonly subscribe = (changed: () => void): (() => void) => {
    const subscription = this.#subscription
    if (!subscription) return () => {}
    const end = subscription.subscribe(changed)
    subscription.open()
    return () => {
      end()
      subscription.close()
    }
  }

  /** The same object until something that the component has read is different. */
  read(select: Select): View<any> {
    const fresh = this.#read(select)
    const seen = this.#seen
    this.#latest = fresh
    if (seen && [...this.#used].every((name) => Object.is(seen[name], fresh[name]))) return seen
    return (this.#seen = fresh)
  }

  readOnServer(select: Select): View<any> {
    return (this.#server ??= emptyView(this.#empty, select))
  }

  /** The view with every reading noted; `more` is added. */
  noted<More extends object>(view: View<any>, more: More): View<any> & More {
    const noted = {} as View<any>
    for (const name of Object.keys(view) as (keyof View<any>)[]) {
      const get = () => {
        this.#used.add(name)
        return view === this.#seen && this.#latest ? this.#latest[name] : view[name]
      }
      Object.defineProperty(noted, name, { get, enumerable: true })
    }
    return Object.assign(noted, more)
  }

  #read(select: Select): View<any> {
    const subscription = this.#subscription
    if (!subscription) return (this.#latest ??= emptyView(this.#empty, select))
    const { ready, status, reason, error = null } = subscription
    const hasMore = 'hasMore' in subscription && subscription.hasMore
    return { data: this.#selected(subscription.getState() ?? this.#empty, select), ready, status, reason, error, hasMore }
  }

  /** What is selected; the same as before where it is alike, since selectors tend to be written in place. */
  #selected(state: unknown, select: Select): unknown {
    if (!select) return state
    if (this.#latest && state === this.#state && select === this.#select) return this.#latest.data
    this.#state = state
    this.#select = select
    const selected = select(state)
    return this.#latest && alike(this.#latest.data, selected) ? this.#latest.data : selected
  }
}

function alike(a: any, b: any): boolean {
  if (Object.is(a, b)) return true
  if (!a || !b || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && Object.is(a[key], b[key]))
}
