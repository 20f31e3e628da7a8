/**
 * What `import ... from 'headwater'` and `'motia'` give at run time; all else there is a type. Owns which names of the old
 * framework's module are there: those that a step may need, and for its server's own parts words that say so.
 */

import { HeadwaterError } from '../errors.ts'
import { originOf } from '../items.ts'
import type { Namespace } from './externals.ts'

type Configured = { readonly config?: { readonly type?: unknown } }

const isOfType = (type: string) => (step: Configured): boolean => step.config?.type === type

class JsonSchemaError extends Error {}

/** Parts of the old server, which no step needs. */
const GONE = [
  'DefaultCronAdapter', 'DefaultQueueEventAdapter', 'FileStateAdapter', 'FileStreamAdapter', 'FileStreamAdapterManager',
  'LockedData', 'MemoryStateAdapter', 'MemoryStreamAdapter', 'MemoryStreamAdapterManager', 'NoPrinter', 'NoTracer', 'Printer',
  'QueueManager', 'StreamAdapter', 'collectFlows', 'createMermaidGenerator', 'createServer', 'createStateAdapter',
  'createStepHandlers', 'generateLockedData', 'getProjectIdentifier', 'getProjectName', 'getStepConfig', 'getStreamConfig',
  'getUserIdentifier', 'invalidate', 'isAnalyticsEnabled', 'setupCronHandlers', 'trackEvent', 'validateInfrastructureConfig',
] as const

/** What version 1 of the old framework begins a step with, in a format of its own. */
const LATER = ['api', 'cron', 'enqueue', 'http', 'jsonSchema', 'multiTriggerStep', 'queue', 'state', 'step', 'stream'] as const

function gone(name: string): Function {
  return saying(name, `"${name}" is a part of the old framework's server, which does not run here.`, 'Steps find what they need in ctx.')
}

function later(name: string): Function {
  const message = `"${name}" belongs to version 1 of the old framework, whose steps have another format.`
  return saying(name, message, "Write the trigger into the config: { type: 'api', name, path, method, emits }, or type 'event' or 'cron'.")
}

/** A function, or class, that says why it is not there. */
function saying(name: string, message: string, hint: string): Function {
  const say = function (): never {
    throw new HeadwaterError({ code: 'NOT_SUPPORTED_YET', message, hint })
  }
  return Object.defineProperty(say, 'name', { value: name })
}

export const OWN: Namespace = {
  HeadwaterError,
  versionOf: (item: object): number | undefined => originOf(item)?.version,
  config: (given: unknown): unknown => given,
  defineConfig: (given: unknown): unknown => given,
  isApiStep: isOfType('api'),
  isEventStep: isOfType('event'),
  isCronStep: isOfType('cron'),
  isNoopStep: isOfType('noop'),
  isAnyOf: (schema: object): boolean => 'anyOf' in schema,
  JsonSchemaError,
  PLUGIN_FLOW_ID: '_plugins',
  ...Object.fromEntries(GONE.map((name) => [name, gone(name)])),
  ...Object.fromEntries(LATER.map((name) => [name, later(name)])),
}
Object.defineProperty(OWN, '__esModule', { value: true })
OWN['default'] = OWN
