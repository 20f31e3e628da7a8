/** Streams as hooks. Components that ask for the same group or item share one subscription. */

import { type DependencyList, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'

import {
  type Change,
  type DataOf,
  type GroupSubscription,
  type Item,
  type ItemOf,
  type ItemSubscription,
  type Json,
  Refused,
  type Stream,
  type Streams,
  type Subscription,
  type StreamEvent,
  type UpdateOperation,
  type WriteOptions,
} from 'headwater/client'

import { useHeadwater } from './provider.ts'
import { Reader, type View } from './view.ts'
import type { GroupWrites } from './writes.ts'

export interface StreamGroupArgs<T extends Item, Name extends string = string> {
  streamName: Name
  groupId: string
  /** Sort by this member instead of by creation. */
  sortKey?: keyof T
  /** A window: only the newest so many items at first. */
  limit?: number
  /** This client's own presence state, where the stream has presence. */
  state?: Json
  /** Called with the data whenever it has changed, as in the older library. */
  setData?: (data: T[]) => void
}

export interface StreamItemArgs<Name extends string = string> {
  streamName: Name
  groupId: string
  /** Nothing is asked for while there is none. */
  id?: string | undefined
}

export type StreamGroup<Data, T extends Item> = View<Data> & GroupWrites<T> & {
  /** For `useStreamEventHandler`. */
  event: GroupSubscription<T> | null
  /** Shows a change before the server has made it, as `optimistic` of a subscription. */
  optimistic(id: string, change: Change<T>, written: Promise<unknown>): Promise<void>
  /** Stops the run that has claimed an item of the group, as `cancel` of a subscription. */
  cancel(id: string): Promise<void>
  /** Extends a window by older items; resolves when they are here. */
  loadMore(count?: number): Promise<void>
}

export type StreamItem<Data, T extends Item> = Omit<View<Data>, 'hasMore'> & {
  /** Creates or replaces the item. Resolves with the group's version. */
  set(data: DataOf<T>, options?: WriteOptions): Promise<number>
  /** Changes the item by operations; where there is none, it is made of them. */
  update(operations: readonly UpdateOperation[], options?: WriteOptions): Promise<number>
  /** Deletes the item. */
  delete(options?: WriteOptions): Promise<number>
  /** Sends an ephemeral event to those who follow the item or its group. */
  send(event: StreamEvent): Promise<void>
  /** For `useStreamEventHandler`. */
  event: ItemSubscription<T> | null
  /** Stops the run that has claimed the item, as `cancel` of a subscription. */
  cancel(): Promise<void>
  /** Shows a change before the server has made it, as `optimistic` of a subscription. */
  optimistic(id: string, change: Change<T>, written: Promise<unknown>): Promise<void>
}

const NO_ITEMS: never[] = []

/**
 * The items of a group, live. Left out arguments ask for nothing yet. With `select` the data is what it makes of the
 * items, and the component renders again only when that is different.
 */
export function useStreamGroup<S extends keyof Streams & string>(args?: StreamGroupArgs<ItemOf<S>, S>): StreamGroup<ItemOf<S>[], ItemOf<S>>
export function useStreamGroup<T extends Item>(args?: StreamGroupArgs<T>): StreamGroup<T[], T>
export function useStreamGroup<T extends Item, Selected>(
  args: (StreamGroupArgs<T> & { select: (items: readonly T[]) => Selected }) | undefined,
): StreamGroup<Selected, T>
export function useStreamGroup(args?: StreamGroupArgs<any> & { select?: (items: readonly any[]) => unknown }): StreamGroup<any, any> {
  const { streamName = '', groupId = '', sortKey, limit, state, select, setData } = args ?? {}
  const make = (stream: Stream) => {
    const options = { sortKey, limit, state, closed: true }
    for (const [name, value] of Object.entries(options)) if (value === undefined) delete options[name as keyof typeof options]
    return stream.group<any>(streamName, groupId, options as { closed: true })
  }
  const wanted = !!streamName && !!groupId
  const [view, subscription] = useSubscription(wanted, make, [streamName, groupId, sortKey, limit, !!state], NO_ITEMS, select)
  const presence = JSON.stringify(state)
  useEffect(() => {
    if (subscription && presence) subscription.setPresence(JSON.parse(presence))
  }, [subscription, presence])
  const [ready, data] = setData ? [view.ready, view.data] : []
  useEffect(() => {
    if (ready) setData?.(data)
  }, [setData, ready, data])
  return view as unknown as StreamGroup<any, any>
}

/** One item, live; null while there is none. With `select` the data is what it makes of the item. */
export function useStreamItem<S extends keyof Streams & string>(args?: StreamItemArgs<S>): StreamItem<ItemOf<S> | null, ItemOf<S>>
export function useStreamItem<T = Item & Json>(args?: StreamItemArgs): StreamItem<T | null, T & Item>
export function useStreamItem<T, Selected>(
  args: (StreamItemArgs & { select: (item: T | null) => Selected }) | undefined,
): StreamItem<Selected, T & Item>
export function useStreamItem(args?: StreamItemArgs & { select?: (item: any) => unknown }): StreamItem<any, any> {
  const { streamName = '', groupId = '', id = '', select } = args ?? {}
  const make = (stream: Stream) => stream.item<any>(streamName, groupId, id, { closed: true })
  const wanted = !!streamName && !!groupId && !!id
  const [view] = useSubscription(wanted, make, [streamName, groupId, id], null, select)
  return view as unknown as StreamItem<any, any>
}

/** Calls `listener` with the data of each ephemeral event of a type. Its latest version is called, whatever it closes over. */
export function useStreamEventHandler(
  { event, type, listener }: { event: Subscription<any> | null; type: string; listener: (data: any) => void },
  _dependencies?: DependencyList,
): void {
  const latest = useRef(listener)
  useEffect(() => {
    latest.current = listener
  })
  useEffect(() => {
    const call = (data: unknown) => latest.current(data)
    event?.onEvent(type, call)
    return () => event?.offEvent(type, call)
  }, [event, type])
}

function useSubscription<S extends GroupSubscription<any> | ItemSubscription<any>>(
  wanted: boolean,
  make: (stream: Stream) => S,
  key: DependencyList,
  empty: unknown,
  select: ((state: any) => unknown) | undefined,
): [View<any>, S | null] {
  const { stream } = useHeadwater()
  const [reader, subscription, more] = useMemo(() => {
    const subscription = stream && wanted ? make(stream) : null
    const loadMore = async (count?: number) => (subscription as GroupSubscription | null)?.loadMore(count)
    const optimistic = async (id: string, change: Change<any>, written: Promise<unknown>) => subscription?.optimistic(id, change, written)
    // Of a group and of an item they differ in what they are given, which is passed on.
    const call =
      (name: 'cancel' | 'set' | 'update' | 'delete' | 'send') =>
      async (...given: any[]): Promise<any> => {
        if (!subscription) throw new Refused({ code: 'OFFLINE', message: 'nothing is subscribed to yet' })
        return (subscription as any)[name](...given)
      }
    const writes = { set: call('set'), update: call('update'), delete: call('delete'), send: call('send') }
    return [new Reader(subscription, empty), subscription, { event: subscription, cancel: call('cancel'), ...writes, loadMore, optimistic }]
  }, [stream, wanted, ...key])
  useEffect(() => {
    if (!stream) console.warn('headwater: there is no HeadwaterProvider above this component, so it shows nothing')
  }, [stream])
  const view = useSyncExternalStore(
    reader.subscribe,
    () => reader.read(select),
    () => reader.readOnServer(select),
  )
  return [reader.noted(view, more), subscription]
}
