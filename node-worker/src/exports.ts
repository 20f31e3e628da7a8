/**
 * What a step or stream file exports: its config, the functions to run. Owns finding them, by name or on the
 * default export, and refusing what is no function.
 */

import type { Namespace } from './project/externals.ts'
import { nameOf } from './values.ts'

export type Handler = (...values: unknown[]) => unknown

export type Config = Record<string, unknown>

/** What a file may call the function, or the constant, that says who may do what with its stream. */
const RULE_NAMES = {
  read: ['canAccess', 'can_access'],
  write: ['canWrite', 'can_write'],
  send: ['canSend', 'can_send'],
  delete: ['canDelete', 'can_delete'],
  cancel: ['canCancel', 'can_cancel'],
} as const

export type Verb = keyof typeof RULE_NAMES

const VERBS = Object.keys(RULE_NAMES) as readonly Verb[]

export const ALL_RULE_NAMES: readonly string[] = Object.values(RULE_NAMES).flat()

/** What a file lacks or has wrong; `code` is one of the protocol's. */
export class DeclarationFault extends Error {
  readonly code: string
  readonly hint: string

  constructor(code: string, message: string, hint = '') {
    super(message)
    this.code = code
    this.hint = hint
  }
}

/** The functions to run for a file: middleware in order, the handler last. */
export function chainOf(module: Namespace): readonly Handler[] {
  const handler = member(module, 'handler')
  return typeof handler === 'function' ? [...middlewareOf(configOf(module)), handler as Handler] : []
}

/**
 * Who may do one thing with a stream, as its file says: a function to ask, or the answer for everybody. What is
 * neither, or two different things, is an error: a stream that somebody meant to close is never opened.
 */
export function ruleOf(module: Namespace, verb: Verb): Handler | boolean | undefined {
  const config = configOf(module)
  let found: Handler | boolean | undefined
  for (const name of RULE_NAMES[verb]) {
    for (const given of [config[name], member(module, name)]) {
      if (given === undefined || given === null) continue
      if (typeof given !== 'function' && typeof given !== 'boolean') {
        const said = `${name} is a ${nameOf(given)}, neither a function nor true nor false.`
        throw new DeclarationFault('CONFIG_NOT_JSON', said)
      }
      if (found !== undefined && found !== given) {
        throw new DeclarationFault('CONFIG_NOT_JSON', `The file says twice, and differently, what ${name} is.`)
      }
      found = given as Handler | boolean
    }
  }
  return found
}

/** Who may do what with a stream, as the manifest tells it. */
export function rulesOf(module: Namespace): Record<string, string> {
  const said: Record<string, string> = {}
  for (const verb of VERBS) {
    const rule = ruleOf(module, verb)
    if (rule !== undefined) said[verb] = typeof rule === 'function' ? 'rule' : rule ? 'open' : 'nobody'
  }
  return said
}

/** What people call a rule that has another name. */
const MEANT: Readonly<Record<string, Verb>> = {
  canread: 'read',
  cansubscribe: 'read',
  canset: 'write',
  cancreate: 'write',
  canupdate: 'write',
  canremove: 'delete',
}

/** Letters by which a name that is meant for a rule's may differ from it. */
const SLIPS = 2

/**
 * Names in the file that are no rule's, but nearly, of functions and of true and false: the verb of which each is
 * meant to say who may. Only verbs of which the file says nothing: beside a rule that is asked, such a function may
 * be its helper.
 */
export function misnamedOf(module: Namespace, rules: Readonly<Record<string, string>>): readonly (readonly [string, Verb])[] {
  const exported = Object.keys(module).filter((name) => ['function', 'boolean'].includes(typeof module[name]))
  const given = [...new Set([...Object.keys(configOf(module)), ...exported])].toSorted()
  return given.flatMap((name) => {
    if (!/^can_?\w+$/i.test(name) || ALL_RULE_NAMES.includes(name)) return []
    const verb = verbOf(name)
    return verb === undefined || Object.hasOwn(rules, verb) ? [] : [[name, verb] as const]
  })
}

/** How a rule is called in the spelling of another name. */
export const ruleName = (verb: Verb, like: string): string => RULE_NAMES[verb][like.includes('_') ? 1 : 0]

function verbOf(name: string): Verb | undefined {
  const folded = name.replaceAll('_', '').toLowerCase()
  if (Object.hasOwn(MEANT, folded)) return MEANT[folded]
  let nearest: Verb | undefined
  let least = SLIPS + 1
  for (const verb of VERBS) {
    const apart = distance(folded, RULE_NAMES[verb][0].toLowerCase())
    if (apart < least) [nearest, least] = [verb, apart]
  }
  return nearest
}

/** How many letters to add, leave out or change until one is the other. */
function distance(one: string, other: string): number {
  let before = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let row = 1; row <= one.length; row++) {
    const now = [row]
    for (let at = 0; at < other.length; at++) {
      const changed = (before[at] as number) + (one[row - 1] === other[at] ? 0 : 1)
      now.push(Math.min(changed, (before[at + 1] as number) + 1, (now[at] as number) + 1))
    }
    before = now
  }
  return before[other.length] as number
}

/** The condition of an event step. One that is no function is an error: what runs now and then must not run always. */
export function conditionOf(module: Namespace): Handler | undefined {
  for (const given of [configOf(module)['condition'], member(module, 'condition')]) {
    if (typeof given === 'function') return given as Handler
    if (given !== undefined && given !== null) {
      throw new DeclarationFault('CONFIG_NOT_JSON', `condition is a ${nameOf(given)}, not a function.`)
    }
  }
  return undefined
}

/** The function that says who asks, by name or as the file's default. */
export function authenticateOf(module: Namespace): Handler {
  const whole = module['default']
  const found = member(module, 'authenticate') ?? (typeof whole === 'function' ? whole : undefined)
  if (typeof found === 'function') return found as Handler
  const said = found === undefined ? 'exports no function' : `has a ${nameOf(found)}, not a function,`
  const hint = 'Write `export const authenticate = async (request) => { ... }`, which gives an object or null.'
  throw new DeclarationFault('AUTH_INVALID', `The file ${said} named authenticate.`, hint)
}

/**
 * The function of the old format's configuration that says who follows streams: `streamAuth.authenticate` of what the
 * file exports as its default, or as `config`.
 */
export function streamAuthOf(module: Namespace): Handler {
  const given = member(module, 'streamAuth') ?? configured(module['config'])?.['streamAuth']
  const found = configured(given)?.['authenticate']
  if (typeof found === 'function') return found.bind(given) as Handler
  const said = given === undefined || given === null ? 'default export has no streamAuth' : 'streamAuth has no function authenticate'
  const hint = 'Write `streamAuth: { authenticate: async ({ headers, url }) => { ... } }`, which gives an object or null; or headwater_auth.ts.'
  throw new DeclarationFault('AUTH_INVALID', `The file's ${said}, so nobody is let in.`, hint)
}

function configured(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}

/** A member of what a file exports, by name or on its default. */
export function member(module: Namespace, name: string): unknown {
  if (module[name] !== undefined) return module[name]
  const whole = module['default']
  return typeof whole === 'object' && whole !== null ? (whole as Namespace)[name] : undefined
}

export function configOf(module: Namespace): Config {
  const config = member(module, 'config')
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) return config as Config
  const said = config === undefined ? 'is missing' : `is a ${nameOf(config)}, not an object`
  const hint = 'Write `export const config = { name: ... }`.'
  throw new DeclarationFault('CONFIG_MISSING', `The file's config ${said}.`, hint)
}

export function middlewareOf(config: Config): Handler[] {
  const given = config['middleware']
  if (given === undefined || given === null) return []
  if (!Array.isArray(given)) {
    throw new DeclarationFault('CONFIG_NOT_JSON', 'config.middleware must be a list of functions.')
  }
  for (const [index, one] of given.entries()) {
    if (typeof one === 'function') continue
    throw new DeclarationFault('CONFIG_NOT_JSON', `config.middleware[${index}] is a ${nameOf(one)}, not a function.`)
  }
  return given as Handler[]
}

