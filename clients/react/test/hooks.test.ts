// @vitest-environment jsdom
import { act, createElement, memo, type ReactNode, StrictMode, useState } from 'react'
import { createRoot, hydrateRoot, type Root } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { peer } from '../../core/test/peer.ts'
import {
  HeadwaterProvider,
  MotiaStreamProvider,
  useConnectionStatus,
  useHeadwater,
  useMotiaStream,
  useStreamEventHandler,
  useStreamGroup,
  useStreamItem,
  useStreamWrites,
} from '../src/index.ts'

vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true)

interface Todo {
  id: string
  text: string
}

const complaints = vi.spyOn(console, 'error')
let server: ReturnType<typeof peer>
let root: Root | undefined
let place: HTMLElement

beforeEach(() => {
  server = peer()
  place = document.body.appendChild(document.createElement('div'))
})

afterEach(() => {
  act(() => root?.unmount())
  root = undefined
  place.remove()
  expect(complaints).not.toHaveBeenCalled()
})

const soon = () => act(() => new Promise((resolve) => setTimeout(resolve, 5)))
const within = (...children: ReactNode[]) =>
  createElement(HeadwaterProvider, { address: 'http://server', WebSocket: server.WebSocket }, ...children)

async function show(node: ReactNode) {
  root ??= createRoot(place)
  await act(async () => root!.render(node))
  await soon()
}

const FIRST: [number, number, Todo][] = [
  [1, 1, { id: 'a', text: 'one' }],
  [2, 2, { id: 'b', text: 'two' }],
]

const List = () => {
  const { data, status } = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' })
  return createElement('p', null, `${status}: ${data.map(({ text }) => text).join(' ')}`)
}

test('a component shows a group, and each change of it', async () => {
  await show(within(createElement(List)))
  expect(place.textContent).toBe('connecting: ')
  server.last.accept().fill(1, FIRST)
  await soon()
  expect(place.textContent).toBe('live: one two')
  server.last.say({ t: 'set', f: 101, v: 3, c: 3, d: { id: 'c', text: 'three' } }, { t: 'gone', f: 101, v: 4, i: 'a' })
  await soon()
  expect(place.textContent).toBe('live: two three')
})

test('under StrictMode there is one socket, one subscription, and nothing is left open', async () => {
  await show(createElement(StrictMode, null, within(createElement(List), createElement(List))))
  for (const socket of server.sockets.slice(0, -1)) expect(socket.closed).toBe(true)
  server.last.accept()
  await soon()
  expect(server.last.of('sub')).toHaveLength(1)
  expect(server.last.of('unsub')).toHaveLength(0)
  server.last.fill(server.last.of('sub')[0]!.sub, FIRST)
  await soon()
  expect(place.textContent).toBe('live: one twolive: one two')
})

test('components that ask for the same room share its subscription; the last one ends it', async () => {
  const Page = ({ lists }: { lists: number }) =>
    within(...Array.from({ length: lists }, (_, key) => createElement(List, { key })))
  await show(createElement(Page, { lists: 3 }))
  server.last.accept().fill(1, FIRST)
  await show(createElement(Page, { lists: 1 }))
  expect(server.last.of('unsub')).toHaveLength(0)
  await show(createElement(Page, { lists: 0 }))
  expect(server.sockets).toHaveLength(1)
  expect(server.last.of('sub')).toHaveLength(1)
  expect(server.last.of('unsub')).toEqual([{ t: 'unsub', sub: 1 }])
})

test('a component that joins a room shows its items from its first render on', async () => {
  const rendered: number[] = []
  const Late = () => {
    rendered.push(useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' }).data.length)
    return null
  }
  await show(within(createElement(List, { key: 1 })))
  server.last.accept().fill(1, FIRST)
  await show(within(createElement(List, { key: 1 }), createElement(Late, { key: 2 })))
  expect(new Set(rendered)).toEqual(new Set([2]))
})

test('a component renders again only when its item changed', async () => {
  const renders = { a: 0, b: 0, row: { a: 0, b: 0 } as Record<string, number> }
  const One = ({ id }: { id: 'a' | 'b' }) => {
    const { data } = useStreamItem<Todo>({ streamName: 'todo', groupId: 'g', id })
    renders[id] += 1
    return createElement('i', null, data?.text)
  }
  const Row = memo(({ todo }: { todo: Todo }) => {
    renders.row[todo.id]! += 1
    return createElement('b', null, todo.text)
  })
  const Rows = () =>
    useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' }).data.map((todo) => createElement(Row, { key: todo.id, todo }))
  await show(within(createElement(One, { id: 'a' }), createElement(One, { id: 'b' }), createElement(Rows)))
  server.last.accept()
  const subs = server.last.of('sub')
  const feed = (sub: number, id?: string) =>
    server.last.say(
      { t: 'subscribed', sub, f: 7, epoch: 'e' },
      { t: 'page', sub, v: 2, items: FIRST.filter(([, , todo]) => !id || todo.id === id) },
      { t: 'complete', sub, v: 2 },
    )
  for (const { sub, id } of subs) feed(sub, id)
  await soon()
  expect(place.textContent).toBe('onetwoonetwo')
  const before = structuredClone(renders)
  server.last.say({ t: 'patch', f: 7, v: 3, i: 'b', o: [['a', ['text'], '!']] })
  await soon()
  expect(place.textContent).toBe('onetwo!onetwo!')
  expect(renders).toEqual({ a: before.a, b: before.b + 1, row: { a: before.row.a, b: before.row.b! + 1 } })
})

test('a selector renders only when what it selects is different', async () => {
  let renders = 0
  const Count = () => {
    renders += 1
    const { data } = useStreamGroup({
      streamName: 'todo',
      groupId: 'g',
      select: (items: readonly Todo[]) => items.map(({ id }) => id),
    })
    return createElement('p', null, data.join())
  }
  await show(within(createElement(Count)))
  server.last.accept().fill(1, FIRST)
  await soon()
  expect(place.textContent).toBe('a,b')
  const before = renders
  server.last.say({ t: 'set', f: 101, v: 3, c: 1, d: { id: 'a', text: 'changed' } })
  await soon()
  expect(renders).toBe(before)
  server.last.say({ t: 'set', f: 101, v: 4, c: 4, d: { id: 'c', text: 'new' } })
  await soon()
  expect([place.textContent, renders]).toEqual(['a,b,c', before + 1])
})

test('only who reads the status renders when it changes', async () => {
  let renders = 0
  const Quiet = () => {
    renders += 1
    return createElement('p', null, useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' }).data.length)
  }
  const Loud = () => createElement('p', null, useConnectionStatus().status)
  await show(within(createElement(Quiet), createElement(Loud)))
  await act(async () => void server.last.accept().fill(1, FIRST))
  await soon()
  expect(place.textContent).toBe('2live')
  const before = renders
  await act(async () => server.last.break())
  await soon()
  expect(place.textContent).toMatch(/^2(offline|connecting)$/)
  expect(renders).toBe(before)
})

test('what the server ended tells its error', async () => {
  const Denied = () => {
    const { error, status } = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' })
    return createElement('p', null, `${status} ${error?.code}`)
  }
  await show(within(createElement(Denied)))
  server.last.accept().say({ t: 'error', sub: 1, code: 'STREAM_ACCESS_DENIED', message: 'no', ended: true })
  await soon()
  expect(place.textContent).toBe('offline STREAM_ACCESS_DENIED')
})

test('another group replaces the one before, whose items are not shown for it', async () => {
  const Room = ({ groupId }: { groupId: string }) =>
    createElement('p', null, useStreamGroup<Todo>({ streamName: 'todo', groupId }).data.map(({ text }) => text).join())
  await show(within(createElement(Room, { groupId: 'g' })))
  server.last.accept().fill(1, FIRST)
  await soon()
  await show(within(createElement(Room, { groupId: 'h' })))
  expect(place.textContent).toBe('')
  expect(server.last.of('sub').map(({ group }) => group)).toEqual(['g', 'h'])
  expect(server.last.of('unsub')).toEqual([{ t: 'unsub', sub: 1 }])
})

test('an event calls the latest listener, with its data', async () => {
  const heard: string[] = []
  let rename = (_: string): void => {}
  const Listening = () => {
    const [name, setName] = useState('first')
    rename = setName
    const { event } = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' })
    useStreamEventHandler({ event, type: 'wave', listener: (data) => heard.push(`${name} ${data}`) }, [])
    return null
  }
  await show(within(createElement(Listening)))
  server.last.accept().fill(1, FIRST)
  const wave = () => server.last.say({ t: 'event', f: 101, e: { type: 'wave', data: 1 } }, { t: 'event', f: 101, e: { type: 'other' } })
  await act(async () => void wave())
  await act(async () => rename('second'))
  await act(async () => void wave())
  expect(heard).toEqual(['first 1', 'second 1'])
})

test('a window loads older items', async () => {
  let load: () => Promise<void> = async () => {}
  const Window = () => {
    const { data, hasMore, loadMore } = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g', limit: 1 })
    load = loadMore
    return createElement('p', null, `${data.map(({ id }) => id)} ${hasMore}`)
  }
  await show(within(createElement(Window)))
  server.last.accept().fill(1, FIRST.slice(1), 2, { floor: 2 })
  await soon()
  expect(place.textContent).toBe('b true')
  const loading = load()
  server.last.say({ t: 'page', sub: 1, v: 2, items: FIRST.slice(0, 1), older: true }, { t: 'complete', sub: 1, v: 2, floor: 0 })
  await act(() => loading)
  expect(server.last.of('more')).toEqual([{ t: 'more', sub: 1, limit: 1, floor: 2 }])
  expect(place.textContent).toBe('a,b false')
})

test('a run is cancelled by the item or by the group, with the same function each time', async () => {
  const cancels = new Set<unknown>()
  let cancelItem: () => Promise<void>
  let cancelOne: (id: string) => Promise<void>
  const Both = () => {
    const item = useStreamItem<Todo>({ streamName: 'todo', groupId: 'g', id: 'a' })
    const group = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' })
    cancels.add((cancelItem = item.cancel))
    cancelOne = group.cancel
    return createElement('p', null, item.data?.text)
  }
  await show(within(createElement(Both)))
  const socket = server.last.accept().fill(1, FIRST.slice(0, 1)).fill(2, FIRST)
  await soon()
  const cancelled = [cancelItem!(), cancelOne!('b')]
  await soon()
  expect(socket.of('cancel')).toEqual([
    { t: 'cancel', sub: 1, ask: 3 },
    { t: 'cancel', sub: 2, id: 'b', ask: 4 },
  ])
  socket.say({ t: 'ok', sub: 1, ask: 3 }, { t: 'error', sub: 2, ask: 4, code: 'RUN_UNKNOWN', message: 'nobody' })
  await cancelled[0]
  await expect(cancelled[1]).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
  expect(cancels.size).toBe(1)
})

test('without something to follow there is nothing to cancel', async () => {
  let cancel: () => Promise<void>
  const Nothing = () => {
    cancel = useStreamItem<Todo>({ streamName: 'todo', groupId: 'g' }).cancel
    return null
  }
  await show(within(createElement(Nothing)))
  await expect(cancel!()).rejects.toMatchObject({ code: 'OFFLINE' })
})

test('a change is shown before it is made, and taken back when it is refused', async () => {
  let change: ReturnType<typeof useStreamGroup<Todo>>['optimistic']
  const Shown = () => {
    const { data, optimistic } = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' })
    change = optimistic
    return createElement('p', null, data.map(({ text }) => text).join())
  }
  await show(within(createElement(Shown)))
  server.last.accept().fill(1, FIRST)
  await soon()
  let answer = (_: Response): void => {}
  const written = new Promise<Response>((resolve) => (answer = resolve))
  await act(async () => void change('a', (todo) => todo && { ...todo, text: 'eins' }, written))
  expect(place.textContent).toBe('eins,two')
  await act(async () => answer(new Response('', { status: 409 })))
  expect(place.textContent).toBe('one,two')
})

test('a page renders on the server without a connection, and takes over in the browser', async () => {
  const html = renderToString(within(createElement(List)))
  expect(html).toContain('connecting: ')
  expect(server.sockets).toHaveLength(0)
  place.innerHTML = html
  const errors: unknown[] = []
  await act(async () => {
    root = hydrateRoot(place, within(createElement(List)), { onRecoverableError: (error) => errors.push(error) })
  })
  server.last.accept().fill(1, FIRST)
  await soon()
  expect(place.textContent).toBe('live: one two')
  expect(errors).toEqual([])
})

test('nothing is asked for without arguments or without a provider', async () => {
  const Nothing = () => {
    const group = useStreamGroup<Todo>()
    const item = useStreamItem<Todo>({ streamName: 'todo', groupId: 'g', id: undefined })
    return createElement('p', null, JSON.stringify([group.data, group.event, item.data]))
  }
  await show(within(createElement(Nothing)))
  expect(place.textContent).toBe('[[],null,null]')
  expect(server.sockets.flatMap(({ sent }) => sent)).toEqual([])
  const warned = vi.spyOn(console, 'warn').mockReturnValue()
  await show(createElement(Nothing))
  expect(place.textContent).toBe('[[],null,null]')
  expect(warned.mock.calls[0]![0]).toMatch('no HeadwaterProvider')
  warned.mockRestore()
})

test('a callback of the older library is called with the items whenever they change', async () => {
  const heard: (readonly Todo[])[] = []
  const setData = (items: Todo[]) => void heard.push(items)
  const Told = () => {
    useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g', setData })
    return null
  }
  await show(within(createElement(Told)))
  expect(heard).toEqual([])
  server.last.accept().fill(1, FIRST)
  await soon()
  server.last.say({ t: 'gone', f: 101, v: 3, i: 'a' })
  await soon()
  expect(heard.map((items) => items.map(({ id }) => id))).toEqual([['a', 'b'], ['b']])
})

test('other protocols are another token, and another client', async () => {
  const Page = ({ token }: { token: string }) =>
    createElement(MotiaStreamProvider, { address: 'http://server', WebSocket: server.WebSocket, protocols: ['Authorization', token] })
  await show(createElement(Page, { token: 'a' }))
  await show(createElement(Page, { token: 'a' }))
  await show(createElement(Page, { token: 'b' }))
  expect(server.sockets.map(({ protocols, closed }) => [protocols[1], closed])).toEqual([
    ['headwater.token.a', true],
    ['headwater.token.b', false],
  ])
})

test('the older names are the same things', () => {
  expect(MotiaStreamProvider).toBe(HeadwaterProvider)
  expect(useMotiaStream).toBe(useHeadwater)
})

test('a component writes, and what it writes is shown at once by whoever follows it', async () => {
  let writes!: ReturnType<typeof useStreamWrites<Todo>>
  let group!: ReturnType<typeof useStreamGroup<Todo>>
  const Writing = () => {
    writes = useStreamWrites<Todo>({ streamName: 'todo', groupId: 'g' })
    group = useStreamGroup<Todo>({ streamName: 'todo', groupId: 'g' })
    return createElement('p', null, `${writes.pending} ${writes.error?.code ?? 'fine'}: ${group.data.map(({ text }) => text).join(' ')}`)
  }
  await show(within(createElement(Writing)))
  const socket = server.last.accept().fill(1, FIRST)
  await soon()
  const { set, update } = writes
  let answered: unknown = 'nothing'
  await act(async () => void set('c', { text: 'three' }).then((version) => (answered = version)))
  await soon()
  expect(place.textContent).toBe('1 fine: one two three')
  expect([writes.set, writes.update]).toEqual([set, update])
  await act(async () => void update('a', [{ type: 'append', path: 'text', value: '!' }]).then((version) => (answered = version)))
  await soon()
  expect(place.textContent).toBe('2 fine: one! two three')
  socket.say({ t: 'error', ask: socket.of('update')[0]!.ask, code: 'STREAM_ACCESS_DENIED', message: 'not yours' })
  await soon()
  expect([answered, place.textContent]).toEqual([undefined, '1 STREAM_ACCESS_DENIED: one two three'])
  socket.say({ t: 'ok', ask: socket.of('set')[0]!.ask, v: 3 }, { t: 'set', f: 101, v: 3, c: 3, d: { id: 'c', text: 'three' } })
  await soon()
  expect([answered, place.textContent]).toEqual([3, '0 fine: one two three'])
  // What the group's hook brings is refused where it was asked.
  let refused: unknown
  await act(async () => void group.delete('b').catch(({ code }) => (refused = code)))
  socket.say({ t: 'error', ask: socket.of('delete')[0]!.ask, code: 'STREAM_ACCESS_DENIED', message: 'not yours' })
  await soon()
  expect([refused, place.textContent]).toEqual(['STREAM_ACCESS_DENIED', '0 fine: one two three'])
})

test('where nothing can be written to, that is the error', async () => {
  vi.spyOn(console, 'warn').mockImplementationOnce(() => {})
  let writes!: ReturnType<typeof useStreamWrites<Todo>>
  const Writing = () => {
    writes = useStreamWrites<Todo>({ streamName: 'todo', groupId: 'g' })
    return createElement('p', null, writes.error?.code ?? 'fine')
  }
  await show(createElement(Writing))
  await act(async () => void (await writes.set('a', { text: 'x' })))
  expect(place.textContent).toBe('OFFLINE')
  await act(async () => writes.clear())
  expect(place.textContent).toBe('fine')
})

test('another token is said at once, and none by a connection of its own', async () => {
  const At = ({ token }: { token?: string }) => {
    const options = token ? { token } : {}
    return createElement(HeadwaterProvider, { address: 'http://server', WebSocket: server.WebSocket, ...options }, createElement(List))
  }
  await show(createElement(At, { token: 'one' }))
  const socket = server.last.accept().fill(1, FIRST)
  expect(socket.protocols).toContain('headwater.token.one')
  await show(createElement(At, { token: 'one' }))
  expect(socket.of('auth')).toEqual([])
  await show(createElement(At, { token: 'two' }))
  expect(socket.of('auth').map(({ token }) => token)).toEqual(['two'])
  socket.say({ t: 'ok', ask: socket.of('auth')[0]!.ask })
  await show(createElement(At, {}))
  expect([socket.closed, server.last.protocols]).toEqual([true, ['headwater.v1']])
  expect(place.textContent).toBe('connecting: one two')
})
