/** What the types promise, seen by the compiler alone: `npm run check`. */

import { useCallback, useState } from 'react'

import {
  HeadwaterProvider,
  MotiaStreamProvider,
  type Stream,
  type StreamGroupArgs,
  useConnectionStatus,
  useMotiaStream,
  useStreamEventHandler,
  useStreamGroup,
  useStreamItem,
  useStreamWrites,
} from '@headwater/react'

interface Message {
  id: string
  text: string
}

declare module 'headwater/client' {
  interface Streams {
    chatMessage: Message
  }
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Same<A, B>): void => {}

export function Known() {
  // A stream whose type was generated is known by its name; others are what the page says, or just items.
  const group = useStreamGroup({ streamName: 'chatMessage', groupId: 'general', sortKey: 'text', limit: 50 })
  const messages: Message[] = group.data
  const item = useStreamItem({ streamName: 'chatMessage', groupId: 'general', id: 'a' })
  const one: Message | null = item.data
  void item.cancel().then(() => group.cancel('a'))
  const ids = useStreamGroup({ streamName: 'other', groupId: 'g', select: (items: readonly Message[]) => items.map(({ id }) => id) })
  same<typeof ids.data, string[]>(true)
  void group.set('a', { text: 'x' }).then((version: number) => version)
  void group.update('a', [{ type: 'append', path: 'text', value: '!' }], { offline: true })
  void item.set({ text: 'x' }, { ifVersion: 0 })
  void item.delete().then(() => item.send({ type: 'wave', data: 1 }))
  const writes = useStreamWrites({ streamName: 'chatMessage', groupId: 'general' })
  void writes.set('a', { text: 'x' }).then((version: number | undefined) => version)
  const pending: number = writes.pending
  // @ts-expect-error a member that messages do not have
  void writes.set('a', { text: 'x', other: 1 })
  // @ts-expect-error a member that messages need
  void group.set('a', {})
  // @ts-expect-error there is no such operation
  void item.update([{ type: 'appendix', path: 'text', value: '!' }])
  const { status, reason } = useConnectionStatus()
  // @ts-expect-error a member that messages do not have
  useStreamGroup({ streamName: 'chatMessage', groupId: 'general', sortKey: 'nothing' })
  // @ts-expect-error there may be no such item
  item.data.text
  return (
    <HeadwaterProvider address="/" token={async () => 'token'} keep={sessionStorage} transport="websocket">
      {status} {reason} {pending} {writes.error?.code} {messages.length} {one?.text} {group.error?.code} {group.hasMore && <button onClick={() => group.loadMore()}>more</button>}
    </HeadwaterProvider>
  )
}

/** A page of the older library, with another import. */
export function Old({ id }: { id?: string }) {
  const [all, setAll] = useState<Message[]>([])
  const args: StreamGroupArgs<Message> = { streamName: 'messages', groupId: 'g', sortKey: 'text', setData: setAll }
  const { data, event } = useStreamGroup<Message>(args)
  const { data: one, event: itsEvent } = useStreamItem<{ title: string }>({ streamName: 'messages', groupId: 'g', id })
  const waiting = useStreamGroup<Message>(undefined)
  const onWave = useCallback((wave: { from: string }) => console.log(wave.from), [])
  useStreamEventHandler({ event, type: 'wave', listener: onWave }, [onWave])
  useStreamEventHandler({ event: itsEvent, type: 'wave', listener: onWave }, [])
  const { stream }: { stream: Stream | null } = useMotiaStream()
  stream?.subscribeGroup<Message>('messages', 'g').close()
  const sorted: Message[] = [...data].sort()
  return (
    <MotiaStreamProvider address="ws://localhost:3000" protocols={['Authorization', 'token']}>
      {one?.title} {sorted.length} {all.length} {waiting.data.length}
    </MotiaStreamProvider>
  )
}
