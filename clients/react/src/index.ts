/** Live state in React: a provider and hooks. The names of the older library stand beside. */

import { HeadwaterContext, HeadwaterProvider, useHeadwater } from './provider.ts'

export { HeadwaterContext, HeadwaterProvider, type ProviderProps, useConnectionStatus, useHeadwater } from './provider.ts'
export { type StreamGroup, type StreamGroupArgs, type StreamItem, type StreamItemArgs, useStreamEventHandler, useStreamGroup, useStreamItem } from './hooks.ts'
export { type GroupWrites, type StreamWrites, type StreamWritesArgs, useStreamWrites } from './writes.ts'
export type { View } from './view.ts'

export { Refused, Stream, StreamGroupSubscription, StreamItemSubscription } from 'headwater/client'
/** @deprecated The older name of `HeadwaterContext`. */
export const MotiaStreamContext = HeadwaterContext
/** @deprecated The older name of `HeadwaterProvider`. */
export const MotiaStreamProvider = HeadwaterProvider
/** @deprecated The older name of `useHeadwater`. */
export const useMotiaStream = useHeadwater
