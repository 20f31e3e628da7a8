/** The client under the names of the older browser library, for pages that are written for it. */

import { Client, type Options } from './client.ts'
import { GroupSubscription, type ItemSubscription } from './subscription.ts'
import type { Item } from './types.ts'

export interface StreamOptions extends Options {
  /** How pages of the older library bring a token: `['Authorization', token]`. */
  protocols?: string | string[] | undefined
}

/** @deprecated The older name of `GroupSubscription`. */
export type StreamGroupSubscription<T extends Item = Item> = GroupSubscription<T, T[]>
/** @deprecated The older name of `GroupSubscription`. */
export const StreamGroupSubscription = GroupSubscription

export class Stream extends Client {
  constructor(address?: string | URL, { protocols, ...options }: StreamOptions = {}) {
    const [kind, token] = [protocols ?? []].flat()
    super(address, kind === 'Authorization' && token ? { ...options, token } : options)
  }

  /** Follow one item. */
  subscribeItem<T extends Item>(stream: string, group: string, id: string): ItemSubscription<T> {
    return this.item<T>(stream, group, id)
  }

  /** Follow a group, sorted by `sortKey` where given. */
  subscribeGroup<T extends Item>(stream: string, group: string, sortKey?: keyof T): StreamGroupSubscription<T> {
    return this.group<T>(stream, group, sortKey === undefined ? {} : { sortKey }) as GroupSubscription<T, any>
  }
}
