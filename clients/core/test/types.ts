/** What the types promise, seen by the compiler alone: `npm run check`. */

import { connect, type GroupSubscription, type Item, type ItemSubscription, Stream } from 'headwater/client'

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

const client = connect('/', { token: async () => 'token', keep: sessionStorage })

// A stream whose type was generated is known by its name; others are what the page says, or just items.
const known = client.group('chatMessage', 'general', { sortKey: 'text' })
known.getState().map(({ text }) => text.length)
const said = client.group<Message>('other', 'general')
same<typeof said, GroupSubscription<Message>>(true)
client.group('other', 'general').getState()[0]?.id.length
client.item('chatMessage', 'general', 'a').addChangeListener((message) => message?.text)
const item = client.item<Message>('other', 'general', 'a')
same<typeof item, ItemSubscription<Message>>(true)

// @ts-expect-error a member that messages do not have
client.group('chatMessage', 'general', { sortKey: 'nothing' })
// @ts-expect-error a snapshot is not to be changed
known.getState().push({ id: 'a', text: '' })
// @ts-expect-error items have an id
client.group<{ text: string }>('other', 'general')
// @ts-expect-error there may be no such item
item.getState().text

void known.optimistic('a', (message) => message && { ...message, text: 'changed' }, Promise.resolve(3))

const stream = new Stream('ws://localhost:3000')
const old = stream.subscribeGroup<Message>('chatMessage', 'general', 'text')
old.addChangeListener((messages) => messages.at(-1)?.text)
stream.subscribeItem<Message>('chatMessage', 'general', 'a').getState()?.text
export type Unused = Item
