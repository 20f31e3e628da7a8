/** What user code and packages print through `console` -> log lines. Owns the replaced methods. */

import { format, inspect, type InspectOptions } from 'node:util'

import type { Channel } from './channel.ts'
import { sendLog, type Level } from './context.ts'
import { current } from './invocation.ts'

const LEVELS: Record<'log' | 'info' | 'debug' | 'warn' | 'error' | 'trace', Level> = {
  log: 'info',
  info: 'info',
  debug: 'debug',
  trace: 'debug',
  warn: 'warn',
  error: 'error',
}

/** Send what is printed on as log lines that carry the step and the trace. */
export function forwardConsole(channel: Channel): void {
  for (const [name, level] of Object.entries(LEVELS) as [keyof typeof LEVELS, Level][]) {
    console[name] = (...values: unknown[]) => sendLog(channel, level, format(...values), {}, current.getStore())
  }
  console.dir = (value: unknown, options?: InspectOptions) => {
    console.log(inspect(value, { customInspect: false, ...options }))
  }
}
