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

known.set('a', { text: 'x' }, { ifVersion: known.versionOf('a'), offline: true }).then((version: number) => version, (fault: Refused) => fault.details)
void client.set('chatMessage', 'general', 'a', { text: 'x' })
void client.set('other', 'general', 'a', { anything: 1 })
void client.update('chatMessage', 'general', 'a', [{ type: 'increment', path: ['likes'], by: 2 }, { type: 'remove', path: 'old' }])
void client.item('chatMessage', 'general', 'a').set({ text: 'x' })
void client.send('chatMessage', 'general', { type: 'typing', data: null }, { id: 'a' })
void client.auth('another').then(() => client.auth(() => 'and another'))
// @ts-expect-error a member that messages do not have
void client.set('chatMessage', 'general', 'a', { text: 'x', other: 1 })
// @ts-expect-error a member that messages need
void known.set('a', {})
// @ts-expect-error a value that numbers do not take
void known.update('a', [{ type: 'increment', path: 'n', by: 'x' }])
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
