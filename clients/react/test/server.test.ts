// @vitest-environment node
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, test, vi } from 'vitest'

import { HeadwaterProvider, useConnectionStatus, useStreamEventHandler, useStreamGroup, useStreamItem } from '../src/index.ts'

test('where there is no browser a page renders without a connection, a timer or an item', () => {
  const opened = vi.fn()
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const Page = () => {
    const { data, ready, event } = useStreamGroup({ streamName: 'todo', groupId: 'g', limit: 5 })
    const ids = useStreamGroup({ streamName: 'todo', groupId: 'g', select: (items: readonly { id: string }[]) => items.map(({ id }) => id) })
    const item = useStreamItem({ streamName: 'todo', groupId: 'g', id: 'a' })
    useStreamEventHandler({ event, type: 'wave', listener: opened }, [])
    const { status } = useConnectionStatus()
    return createElement('p', null, JSON.stringify([data, ids.data, item.data, ready, item.status, status]))
  }
  class Socket {
    constructor() {
      opened()
    }
  }
  const page = () => createElement(HeadwaterProvider, { WebSocket: Socket as never }, createElement(Page))
  expect(renderToString(page()).replaceAll('&quot;', '"')).toBe('<p>[[],[],null,false,"connecting","connecting"]</p>')
  expect(renderToString(page())).toBe(renderToString(page()))
  expect([opened.mock.calls, timers.mock.calls]).toEqual([[], []])
})
