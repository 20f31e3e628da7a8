/** What the types promise, seen by the compiler alone: `npm run check`. */

import {
  connect,
  type GroupSubscription,
  type ItemSubscription,
  type Refused,
  Stream,
  type StreamGroupSubscription,
  type StreamItemSubscription,
  type StreamSubscription,
} from 'headwater/client'

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

known.cancel('a').then((accepted: void) => accepted, (fault: Refused) => fault.code.length)
void item.cancel()
// @ts-expect-error a group does not know which item
void known.cancel()

// A page of the older library, with another import.
const stream = new Stream('ws://localhost:3000', { protocols: ['Authorization', 'token'] })
const old: StreamGroupSubscription<Message> = stream.subscribeGroup<Message>('chatMessage', 'general', 'text')
let messages: Message[] = old.getState()
const setMessages = (now: Message[]): void => void (messages = now)
old.addChangeListener(setMessages)
old.removeChangeListener(setMessages)
old.onEvent('typing', (event: { who: string }) => event.who)
const one: StreamItemSubscription<Message> = stream.subscribeItem<Message>('chatMessage', 'general', 'a')
one.getState()?.text
export const any: StreamSubscription<any, any> = old
export { messages }
