/** The client for live state. `connect()`, then `client.group(...)` or `client.item(...)`. */

export { Client, connect, type GroupOptions, type Options } from './client.ts'
export type { Token } from './connection.ts'
export type { Keep } from './keep.ts'
export type { Change } from './optimistic.ts'
export { Refused } from './refused.ts'
export type { SocketClass, SocketLike } from './socket.ts'
export { Stream, StreamGroupSubscription, type StreamOptions } from './stream.ts'
export { GroupSubscription, ItemSubscription, ItemSubscription as StreamItemSubscription, Subscription, Subscription as StreamSubscription } from './subscription.ts'
export type { DataOf, Ended, Item, ItemOf, Json, Path, SendOptions, Status, StreamEvent, Streams, UpdateOperation, WriteOptions } from './types.ts'
export type { Limits } from './writes.ts'
