// Written by `headwater types`, and kept fresh by `headwater dev`. Change your schemas instead of this file.

declare module 'headwater' {
  export interface Streams {
    /** steps/chat-messages.stream.ts */
    chatMessage: Stream<ChatMessage>
    /** steps/reactions_stream.py */
    reactions: Stream<Reactions>
  }

  export interface Handlers {
    /** steps/create_message_step.py */
    CreateChatMessage: ApiRouteHandler<{
      channel_id: string
      message: string
      user_id?: string
    }, ApiResponse, EmittedEvent>
    /** steps/like-message.step.ts */
    LikeChatMessage: ApiRouteHandler<{
      user_id: string
    }, ApiResponse, EmittedEvent>
  }

  export type ChatMessage = {
    id: string
    user_id: string
    message: string
    timestamp: string
  }

  export type Reactions = {
    id: string
    likes?: number
    by?: Array<string>
  }


  export type App = undefined

  // --- streams ---

  /** An item as streams give it back: its data, `id` included. Its `version` is not part of the data. */
  export type StreamItem<TData> = TData & { id: string; readonly version?: number }

  /** What `set` takes: the `id` may be left out, the one that is given beside it wins. */
  export type StreamData<TData> = TData extends { id: string } ? Omit<TData, 'id'> & { id?: string } : TData

  export interface WriteOptions {
    /** Only if the item's version is this one; 0 says that there must be none. */
    ifVersion?: number
    /** A repeated write with the same key does nothing and gives the first one's result. */
    key?: string
  }

  export interface SetOptions extends WriteOptions {
    /** Seconds after which the item expires. */
    ttl?: number
  }

  /** Where in an item: `'progress.done'`, `'lines.0'`, or a list of exact names. `''` is the whole item. */
  export type Path = string | readonly (string | number)[]

  export type UpdateOperation =
    | { type: 'set'; path: Path; value: unknown }
    | { type: 'merge'; path?: Path; value: Record<string, unknown> }
    | { type: 'append'; path: Path; value: unknown }
    | { type: 'increment' | 'decrement'; path: Path; by?: number }
    | { type: 'remove'; path: Path }

  export interface StateStreamEventChannel {
    groupId: string
    /** Only to those who watch this item or its group; without it, to those who watch the group. */
    id?: string
  }

  export interface StateStreamEvent<TData = unknown> {
    type: string
    data: TData
  }

  /** Every method takes effect at once, in order, awaited or not. */
  export interface Stream<TData> {
    get(groupId: string, id: string): Promise<StreamItem<TData> | null>
    /** Create or replace an item. */
    set(groupId: string, id: string, data: StreamData<TData>, options?: SetOptions): Promise<StreamItem<TData>>
    /** Apply operations to an item as one write. With `ifExists` one that is not there is not made: the answer is null. */
    update(
      groupId: string,
      id: string,
      operations: readonly UpdateOperation[],
      options: WriteOptions & { ifExists: boolean },
    ): Promise<StreamItem<TData> | null>
    update(groupId: string, id: string, operations: readonly UpdateOperation[], options?: WriteOptions): Promise<StreamItem<TData>>
    /** Delete an item; gives it as it was. */
    delete(groupId: string, id: string, options?: WriteOptions): Promise<StreamItem<TData> | null>
    /** All items of a group, in the order of their creation. */
    getGroup(groupId: string): Promise<StreamItem<TData>[]>
    get_group(groupId: string): Promise<StreamItem<TData>[]>
    /** Send an event to whoever watches now; it is kept nowhere. */
    send<T>(channel: StateStreamEventChannel, event: StateStreamEvent<T>): Promise<void>
    /** Take a group away from a user: the `user` of its context, or else its `sub`. */
    revoke(groupId: string, user: string): Promise<null>
    /** Leave what a user may do with a group to the stream's file again. */
    restore(groupId: string, user: string): Promise<null>
  }

  /** The items of each stream as clients see them. */
  export type StreamItems = {
    [Name in keyof Streams]: Streams[Name] extends Stream<infer TData> ? TData & { readonly id: string } : never
  }

  export type MotiaStream<TData> = Stream<TData>
  export type BaseStreamItem<TData = unknown> = StreamItem<TData>
  export type FlowContextStateStreams = Streams

  // --- handlers ---

  export interface EmittedEvent {
    topic: string
    data?: unknown
  }

  export interface EmitOptions {
    /** Fifo steps keep the order of a group. */
    messageGroupId?: string
    /** Seconds. */
    delay?: number
    /** A repeated one does nothing. */
    key?: string
  }

  /** What became of an emit. */
  export interface Emitted {
    /** The ids of the runs, by the names of their steps. */
    runs: Record<string, string>
    /** The key was used before: nothing happened, and these are the runs of the first. */
    repeated: boolean
  }

  export type Emitter<TEmit> = (event: TEmit & EmitOptions) => Promise<Emitted>

  export interface Logger {
    debug(message: string, fields?: unknown): void
    info(message: string, fields?: unknown): void
    warn(message: string, fields?: unknown): void
    error(message: string, fields?: unknown): void
    log(message: string, fields?: unknown): void
  }

  export interface StateTerms {
    /** Only if the value's version is this one; 0 says that there must be none. */
    ifVersion?: number
    /** A repeated write with the same key does nothing and gives the first one's result. */
    writeKey?: string
  }

  export interface StateOptions extends StateTerms {
    /** Seconds after which the value expires. */
    ttl?: number
  }

  export interface StateEntry<T = any> {
    key: string
    value: T
  }

  /** Values of any JSON. Every method takes effect at once, in order, awaited or not. */
  export interface State {
    get<T = any>(groupId: string, key: string): Promise<T | null>
    set<T = any>(groupId: string, key: string, value: T, options?: StateOptions): Promise<T>
    /** Apply operations to a value as one write; one that is not there is made. */
    update<T = any>(groupId: string, key: string, operations: readonly UpdateOperation[], options?: StateOptions & { ifExists?: boolean }): Promise<T>
    /** Delete a value; gives it as it was. */
    delete<T = any>(groupId: string, key: string, options?: StateTerms): Promise<T | null>
    /** All values of a group, in the order of their creation. */
    getGroup<T = any>(groupId: string): Promise<T[]>
    get_group<T = any>(groupId: string): Promise<T[]>
    /** The same with their keys. */
    list<T = any>(groupId: string): Promise<StateEntry<T>[]>
    /** The names of the groups that hold values, at most `limit` after the name `after`. */
    list(groupId?: null, page?: { after?: string; limit?: number }): Promise<string[]>
    clear(groupId: string): Promise<null>
  }

  export type InternalStateManager = State

  export interface ProgressOptions {
    /** How many elements there are, where they have no `length` and no `size`. */
    total?: number
  }

  /** What `ctx.progress` writes; what is not known is null. */
  export interface Progress {
    done: number
    total: number | null
    percent: number | null
    /** Elements a second. */
    rate: number | null
    /** Seconds. */
    eta: number | null
  }

  export interface FlowContext<TEmit = EmittedEvent> {
    emit: Emitter<TEmit>
    traceId: string
    flows: string[]
    /** The step's name. */
    stepName: string
    /** Do something once in the run: a later attempt is given what `work` gave, as JSON. */
    step<Value>(name: string, work: () => Value | Promise<Value>): Promise<Value>
    /** Claim an item that a stream gave: whoever may read it may stop this run by it. */
    owns(item: object): Promise<void>
    /** The same elements; how far the loop has come is written into the field `progress` of an item that a stream gave. */
    progress<T>(items: Iterable<T>, item: object, options?: ProgressOptions): Iterable<T> & AsyncIterable<Awaited<T>>
    progress<T>(items: AsyncIterable<T>, item: object, options?: ProgressOptions): AsyncIterable<T>
    /** What the `lifespan` of `headwater_lifespan.ts` yields; undefined without that file. */
    app: App
    /** Whether the run is to end: somebody cancelled it, or nobody waits for the request's answer. */
    readonly cancelled: boolean
    /** The context of whose request caused this, as `authenticate` of `headwater_auth` gave it; null for nobody. */
    auth: Record<string, any> | null
    /** How often an event has been tried, this time included; 1 for a request. */
    attempt: number
    /** The id of the run of an event or a cron step; empty for requests. */
    run: string
    logger: Logger
    state: State
    streams: Streams
    /** Aborted when the caller has gone or the time is up. */
    signal: AbortSignal
  }

  export type Context<TEmit = EmittedEvent> = FlowContext<TEmit>

  export interface ApiRequest<TBody = unknown> {
    body: TBody
    pathParams: Record<string, string>
    queryParams: Record<string, string | string[]>
    headers: Record<string, string | string[]>
    /** The body as it came: text, or bytes where it is no UTF-8. */
    rawBody: string | Uint8Array
    /** The context of who asks, as `authenticate` of `headwater_auth` gave it; null for nobody. */
    auth: Record<string, any> | null
    [more: string]: any
  }

  type HeaderValue = string | number | boolean

  /** Text and bytes go out as they are, any other body as JSON. Text that begins with `<` is HTML, unless the headers say otherwise. */
  export type ApiResponse<TStatus extends number = number, TBody = any> = {
    status: TStatus
    headers?: Record<string, HeaderValue | HeaderValue[]>
  } & (unknown extends TBody ? { body?: TBody } : { body: TBody | Uint8Array })

  type Awaitable<T> = T | Promise<T>

  export type ApiRouteHandler<TBody = any, TResponse extends ApiResponse = ApiResponse, TEmit = EmittedEvent> = (
    req: ApiRequest<TBody>,
    ctx: FlowContext<TEmit>,
  ) => Awaitable<TResponse>

  export type EventHandler<TInput = any, TEmit = EmittedEvent> = (input: TInput, ctx: FlowContext<TEmit>) => Awaitable<unknown>

  export type CronHandler<TEmit = EmittedEvent> = (ctx: FlowContext<TEmit>) => Awaitable<unknown>

  /** A handler by its config alone, as older files have it; `Handlers` knows more. */
  export type StepHandler<TConfig> = TConfig extends ApiRouteConfig
    ? ApiRouteHandler
    : TConfig extends EventConfig
      ? EventHandler<TConfig extends { input: { _output: infer TInput } } ? TInput : any>
      : TConfig extends CronConfig
        ? CronHandler
        : never

  /** Runs around a handler; `next` gives the inner response, whose body is a `TResult`. */
  export type ApiMiddleware<TBody = any, TEmit = any, TResult = any> = (
    req: ApiRequest<TBody>,
    ctx: FlowContext<TEmit>,
    next: () => Promise<ApiResponse<number, TResult>>,
  ) => Awaitable<ApiResponse<number, TResult>>

  // --- configs ---

  /** A JSON Schema, or a schema of zod 3 or 4. */
  export type Schema = JsonSchema | { readonly _zod: unknown } | { readonly _def: unknown }

  export interface JsonSchema {
    readonly [keyword: string]: unknown
  }

  export type Emit = string | { topic: string; label?: string; conditional?: boolean }

  interface BaseConfig {
    name: string
    description?: string
    flows?: readonly string[]
    virtualEmits?: readonly Emit[]
    virtualSubscribes?: readonly Emit[]
    includeFiles?: readonly string[]
  }

  export type ApiRouteMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS' | 'HEAD'

  export interface QueryParam {
    name: string
    description?: string
  }

  export interface ApiRouteConfig extends BaseConfig {
    type: 'api'
    /** Express style: `/orders/:id`. */
    path: string
    method: ApiRouteMethod
    /** The topics that the step may emit; an empty list allows any. */
    emits: readonly Emit[]
    bodySchema?: Schema
    responseSchema?: Record<number, Schema>
    queryParams?: readonly QueryParam[]
    middleware?: readonly ApiMiddleware[]
  }

  export interface EventConfig extends BaseConfig {
    type: 'event'
    subscribes: readonly string[]
    emits: readonly Emit[]
    input?: Schema | null
    infrastructure?: {
      handler?: { ram?: number; cpu?: number; timeout?: number }
      queue?: {
        type?: 'fifo' | 'standard'
        maxRetries?: number
        visibilityTimeout?: number
        delaySeconds?: number
        concurrency?: number
      }
    }
  }

  export interface CronConfig extends BaseConfig {
    type: 'cron'
    /** 5 fields, or 6 with seconds first. */
    cron: string
    emits: readonly Emit[]
  }

  export interface NoopConfig extends BaseConfig {
    type: 'noop'
  }

  export type StepConfig = ApiRouteConfig | EventConfig | CronConfig | NoopConfig

  export interface StreamSubscription {
    groupId: string
    /** Nothing where the whole group is asked for. */
    id?: string
  }

  /** What a client would write to an item. */
  export interface StreamChange {
    groupId: string
    id: string
    type: 'set' | 'update' | 'delete'
    /** The item as it is; null where there is none. */
    old: any
    /** The item as it would be; null for a delete. */
    new: any
  }

  /** What a client would send to those who follow a group, or one item of it. */
  export interface StreamEvent {
    groupId: string
    id?: string
    event: { type: string; data: any }
  }

  /** Whether somebody may: only exactly `true` is a yes. `true` instead of a function is everybody, `false` nobody. */
  export type StreamRule<Asked> = boolean | ((asked: Asked, auth: any) => boolean | Promise<boolean>)

  export interface StreamConfig {
    name: string
    schema: Schema | null
    baseConfig?: { storageType: 'default' } | { storageType: 'custom'; factory: () => unknown }
    description?: string
    /** Who may subscribe, or read; everybody where nothing is said. */
    canAccess?: StreamRule<StreamSubscription>
    /** Who may set and update items without a step; nobody where nothing is said. */
    canWrite?: StreamRule<StreamChange>
    /** Who may delete items without a step; nobody where nothing is said. */
    canDelete?: StreamRule<StreamChange>
    /** Who may send events without a step; nobody where nothing is said. */
    canSend?: StreamRule<StreamEvent>
    /** Who may stop the run behind an item; whoever may read it where nothing is said. */
    canCancel?: StreamRule<StreamSubscription>
    /** Keep who is in a group, as the stream `NAME.presence`. */
    presence?: boolean
    /** Milliseconds between two deliveries to subscribers. */
    rollup?: number
    /** Seconds after which an item expires. */
    ttl?: number
    /** What is older is deleted. */
    keep?: { newest?: number; age?: number }
  }

  // --- errors ---

  export interface FieldFault {
    field: string
    message: string
  }

  /** What a call on a stream rejects with; the `code` is stable. */
  export class HeadwaterError extends Error {
    /** Thrown by a handler, it is the answer to the request, with the status that belongs to its code. */
    constructor(error: { code: string; message: string; hint?: string; [detail: string]: unknown })
    readonly code: string
    readonly hint: string
    /** Each field that broke the schema (`SCHEMA_MISMATCH`). */
    readonly faults?: readonly FieldFault[]
    /** The item's version now (`CONFLICT`). */
    readonly version?: number
  }

  /** The version of an item that a stream gave back; undefined for a copy of one. */
  export function versionOf(item: object): number | undefined

  global {
    /** What the clients, `headwater/client` and `@headwater/react`, know of the streams. */
    interface HeadwaterStreams extends StreamItems {}
  }
}

declare module 'motia' {
  export * from 'headwater'

  // What the old framework's module had beside it, so that old files type-check. `headwater routes` tells which
  // keys of a `motia.config` are used.

  import type { ApiRouteConfig, ApiRouteHandler, JsonSchema, NoopConfig, Schema, StepConfig, StreamConfig } from 'headwater'
  import type { CronConfig, EventConfig } from 'headwater'

  // --- steps ---

  export type ZodInput = { readonly _zod: unknown } | { readonly _def: unknown }
  export type StepSchemaInput = Schema
  export type HandlerConfig = { ram: number; cpu?: number; timeout: number }
  export type QueueConfig = {
    type: 'fifo' | 'standard'
    maxRetries: number
    visibilityTimeout: number
    delaySeconds: number
    concurrency?: number
  }
  export type InfrastructureConfig = { handler?: Partial<HandlerConfig>; queue?: Partial<QueueConfig> }
  export type EmitData = { topic: string; data: unknown; messageGroupId?: string }
  export type Event<TData = unknown> = EmitData & { data: TData; traceId: string; flows?: string[]; logger?: any; tracer?: any }
  export type Handler<TData = unknown> = (event: Event<TData>) => Promise<void>
  export type SubscribeConfig<TData> = { event: string; handlerName: string; filePath: string; handler: Handler<TData> }
  export type UnsubscribeConfig = { filePath: string; event: string }
  export type Step<TConfig extends StepConfig = StepConfig> = { filePath: string; version: string; config: TConfig }
  export type PluginStep<TConfig extends StepConfig = ApiRouteConfig> = Step<TConfig> & { handler?: ApiRouteHandler<any, any, any> }
  export type Flow = { name: string; description?: string; steps: Step[] }

  export function isApiStep(step: Step): step is Step<ApiRouteConfig>
  export function isEventStep(step: Step): step is Step<EventConfig>
  export function isCronStep(step: Step): step is Step<CronConfig>
  export function isNoopStep(step: Step): step is Step<NoopConfig>
  export function isAnyOf(schema: JsonSchema): schema is JsonSchema & { anyOf: JsonSchema[] }
  export class JsonSchemaError extends Error {}

  // --- motia.config ---

  /** What an access function was told of who asks. */
  export interface StreamAuthContext {
    [name: string]: any
  }
  export type StreamAuthRequest = { headers: Record<string, string | string[] | undefined>; url?: string }
  export type StreamAuthConfig<TContext = any> = {
    contextSchema: unknown
    authenticate: (request: StreamAuthRequest) => Promise<TContext | null> | TContext | null
  }
  export type RedisConfig =
    | { useMemoryServer?: false; host: string; port: number; password?: string; username?: string; db?: number }
    | { useMemoryServer: true }
  export type AdapterConfig = { state?: any; streams?: any; events?: any; cron?: any }
  export type WorkbenchPlugin = {
    packageName: string
    componentName?: string
    label?: string
    labelIcon?: string
    position?: 'bottom' | 'top'
    cssImports?: string[]
    props?: Record<string, any>
  }
  export type MotiaPlugin = { workbench: WorkbenchPlugin[]; dirname?: string; steps?: string[]; onShutdown?: () => Promise<void> }
  export type MotiaPluginContext = any
  export type MotiaPluginBuilder = (motia: MotiaPluginContext) => MotiaPlugin
  export type PluginApiConfig = { method: ApiRouteConfig['method']; path: string }
  export type UnregisterMotiaPluginApi = () => void
  export const PLUGIN_FLOW_ID: string
  export type Config = {
    app?: (app: any) => void
    plugins?: MotiaPluginBuilder[]
    adapters?: AdapterConfig
    streamAuth?: StreamAuthConfig
    redis?: RedisConfig
  }
  export function config<TConfig extends Config>(config: TConfig): TConfig
  export function defineConfig<TConfig extends Config>(config: TConfig): TConfig

  // --- the old server's own parts: their names resolve, and using one at run time says that it is not there ---

  export type CronAdapter = any
  export type CronAdapterConfig = any
  export type CronLock = any
  export type CronLockInfo = any
  export type CronManager = any
  export type EventAdapter = any
  export type SubscriptionHandle = any
  export type StateAdapter = any
  export type StateFilter = any
  export type StateItem = any
  export type StateItemsInput = any
  export type StreamAdapterManager = any
  export type StreamQueryFilter<TData = any> = { [option: string]: unknown; where?: Partial<TData> }
  export type ObservabilityAdapter = any
  export type Tracer = any
  export type Metric = any
  export type QueueMetrics = any
  export type Motia = any
  export type MotiaServer = any
  export type MotiaEventManager = any
  export type InfrastructureValidationError = { path: string; message: string }
  export type InfrastructureValidationResult = { success: boolean; errors?: InfrastructureValidationError[] }
  export abstract class StreamAdapter<TData = any> {
    constructor(...values: any[])
    [member: string]: any
  }
  export class FileStateAdapter { constructor(...values: any[]); [member: string]: any }
  export class MemoryStateAdapter { constructor(...values: any[]); [member: string]: any }
  export class FileStreamAdapter<TData = any> extends StreamAdapter<TData> {}
  export class MemoryStreamAdapter<TData = any> extends StreamAdapter<TData> {}
  export class FileStreamAdapterManager { constructor(...values: any[]); [member: string]: any }
  export class MemoryStreamAdapterManager { constructor(...values: any[]); [member: string]: any }
  export class DefaultCronAdapter { constructor(...values: any[]); [member: string]: any }
  export class DefaultQueueEventAdapter { constructor(...values: any[]); [member: string]: any }
  export class QueueManager { constructor(...values: any[]); [member: string]: any }
  export class LockedData { constructor(...values: any[]); [member: string]: any }
  export class Printer { constructor(...values: any[]); [member: string]: any }
  export class NoPrinter extends Printer {}
  export class NoTracer { constructor(...values: any[]); [member: string]: any }
  export function collectFlows(...values: any[]): any
  export function createMermaidGenerator(...values: any[]): any
  export function createServer(...values: any[]): any
  export function createStateAdapter(...values: any[]): any
  export function createStepHandlers(...values: any[]): any
  export function generateLockedData(...values: any[]): any
  export function getProjectIdentifier(...values: any[]): any
  export function getProjectName(...values: any[]): any
  export function getStepConfig(...values: any[]): any
  export function getStreamConfig(...values: any[]): any
  export function getUserIdentifier(...values: any[]): any
  export function invalidate(...values: any[]): any
  export function isAnalyticsEnabled(...values: any[]): any
  export function setupCronHandlers(...values: any[]): any
  export function trackEvent(...values: any[]): any
  export function validateInfrastructureConfig(...values: any[]): InfrastructureValidationResult
}
