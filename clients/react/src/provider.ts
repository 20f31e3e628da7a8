/** The client of a tree of components. */

import { createContext, createElement, type FC, type PropsWithChildren, useCallback, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'

import { type Status, Stream, type StreamOptions } from 'headwater/client'

export interface Context {
  stream: Stream | null
}

export const HeadwaterContext = createContext<Context>({ stream: null })

export type ProviderProps = PropsWithChildren<
  Omit<StreamOptions, 'lazy'> & {
    /** The server's address; the page's own server when left out. */
    address?: string
  }
>

/**
 * Gives the components below it one client of the server at `address`. It connects in the browser alone. A new address
 * means a new client, and so do other protocols; the other options are read when that begins, but for `token`: the
 * latest function is asked, and another text is said at once.
 */
export const HeadwaterProvider: FC<ProviderProps> = ({ address, children, ...options }) => {
  const latest = useRef(options.token)
  useEffect(() => {
    latest.current = options.token
  })
  const ask = useCallback(() => (typeof latest.current === 'function' ? latest.current() : latest.current), [])
  const text = typeof options.token === 'function' ? ask : options.token
  const context = useMemo(() => {
    // Making a client does nothing yet, so a render that React throws away costs nothing.
    return { stream: new Stream(address, { ...options, ...(text && { token: text }), lazy: true }), text }
  }, [address, JSON.stringify(options.protocols)])
  useEffect(() => {
    if (context.text === text) return
    context.text = text
    // Who is not believed is told so where things are refused.
    context.stream.auth(text ?? ask).catch(() => {})
  }, [context, text])
  useEffect(() => {
    context.stream.open()
    return () => context.stream.close()
  }, [context])
  return createElement(HeadwaterContext.Provider, { value: context }, children)
}

/** The client of the provider above; null where there is none. */
export const useHeadwater = (): Context => useContext(HeadwaterContext)

/** The status of the connection, and why it is not live. */
export function useConnectionStatus(): { status: Status; reason: string } {
  const { stream } = useHeadwater()
  const [subscribe, read] = useMemo(() => {
    let known = CONNECTING
    return [
      (changed: () => void) => stream?.onStatus(changed) ?? (() => {}),
      () => {
        const { status, reason } = stream ?? CONNECTING
        return known.status === status && known.reason === reason ? known : (known = { status, reason })
      },
    ]
  }, [stream])
  return useSyncExternalStore(subscribe, read, () => CONNECTING)
}

const CONNECTING: { status: Status; reason: string } = { status: 'connecting', reason: '' }
