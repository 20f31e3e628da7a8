/** The client under the names of the older browser library, for pages that are written for it. */

import { Client } from './client.ts'
import type { GroupSubscription, ItemSubscription } from './subscription.ts'
import type { Item } from './types.ts'

export class Stream extends Client {
  /** Follow one item. */
  subscribeItem<T extends Item>(stream: string, group: string, id: string): ItemSubscription<T> {
    return this.item<T>(stream, group, id)
  }

  /** Follow a group, sorted by `sortKey` where given. */
  subscribeGroup<T extends Item>(stream: string, group: string, sortKey?: keyof T): GroupSubscription<T> {
    return this.group<T>(stream, group, sortKey === undefined ? {} : { sortKey })
  }
}
