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
