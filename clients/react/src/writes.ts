/** Writing as a hook. Owns what a component is told of writes under way; how they are done is the client's. */

import { useMemo, useState } from 'react'

import { type DataOf, type GroupSubscription, type Item, type ItemOf, Refused, type SendOptions, type StreamEvent, type Streams, type UpdateOperation, type WriteOptions } from 'headwater/client'

import { useHeadwater } from './provider.ts'

/** What a group's hook and its subscription can write. */
export interface GroupWrites<T extends Item, Answer = number, Nothing = void> {
  /** Creates or replaces an item. Resolves with the group's version. */
  set(id: string, data: DataOf<T>, options?: WriteOptions): Promise<Answer>
  /** Changes an item by operations; one that is not there is made of them. */
  update(id: string, operations: readonly UpdateOperation[], options?: WriteOptions): Promise<Answer>
  /** Deletes an item. */
  delete(id: string, options?: WriteOptions): Promise<Answer>
  /** Sends an ephemeral event to the group, or to those who follow one item. */
  send(event: StreamEvent, options?: SendOptions): Promise<Nothing>
}

/** The calls never reject: they resolve to nothing where they are refused, and `error` says why. */
export interface StreamWrites<T extends Item> extends GroupWrites<T, number | undefined> {
  /** How many have not been answered. */
  pending: number
  /** Why the latest that was answered was refused; null where it was not. */
  error: Refused | null
  /** Forgets `error`. */
  clear(): void
}

export interface StreamWritesArgs<Name extends string = string> {
  streamName: Name
  groupId: string
}

/** Writes to a group, which need no subscription to it; whoever follows it here sees them at once. */
export function useStreamWrites<S extends keyof Streams & string>(args: StreamWritesArgs<S>): StreamWrites<ItemOf<S>>
export function useStreamWrites<T extends Item = ItemOf<string>>(args: StreamWritesArgs): StreamWrites<T>
export function useStreamWrites({ streamName, groupId }: StreamWritesArgs): StreamWrites<any> {
  const { stream } = useHeadwater()
  const [{ pending, error }, note] = useState<{ pending: number; error: Refused | null }>({ pending: 0, error: null })
  const calls = useMemo(() => {
    const group = stream && streamName && groupId ? stream.group<any>(streamName, groupId, { closed: true }) : null
    const watched =
      <Given extends unknown[], Answer>(call: (group: GroupSubscription<any>, ...given: Given) => Promise<Answer>) =>
      async (...given: Given): Promise<Answer | undefined> => {
        note(({ pending, error }) => ({ pending: pending + 1, error }))
        let refused: Refused | null = null
        try {
          if (!group) throw new Refused({ code: 'OFFLINE', message: 'there is nothing to write to yet' })
          return await call(group, ...given)
        } catch (fault) {
          refused = fault instanceof Refused ? fault : new Refused({ code: 'INVALID_INPUT', message: String(fault) })
        } finally {
          note(({ pending }) => ({ pending: pending - 1, error: refused }))
        }
        return undefined
      }
    return {
      set: watched((group, id: string, data: any, options?: WriteOptions) => group.set(id, data, options)),
      update: watched((group, id: string, operations: readonly UpdateOperation[], options?: WriteOptions) => group.update(id, operations, options)),
      delete: watched((group, id: string, options?: WriteOptions) => group.delete(id, options)),
      send: watched((group, event: StreamEvent, options?: SendOptions) => group.send(event, options)),
      clear: () => note(({ pending }) => ({ pending, error: null })),
    }
  }, [stream, streamName, groupId])
  return useMemo(() => ({ ...calls, pending, error }), [calls, pending, error])
}
