/**
 * The errors that user code meets. Owns their shape in JavaScript; the codes are the server's (`errors.py`).
 */

export interface Fault {
  readonly field: string
  readonly message: string
}

/** An `error` of the protocol. */
export interface ErrorMembers {
  readonly code: string
  readonly message: string
  readonly hint?: string
  readonly [detail: string]: unknown
}

/** An error with a stable `code`; `faults`, `version` and other details are its own properties. */
export class HeadwaterError extends Error {
  readonly code: string
  readonly hint: string
  declare readonly faults?: readonly Fault[]
  declare readonly version?: number
  readonly #members: ErrorMembers

  constructor(members: ErrorMembers) {
    super([`${members.message} ${members.hint ?? ''}`.trimEnd(), ...faultLines(members['faults'], members.message)].join('\n'))
    const { code, message: _, hint = '', ...details } = members
    this.name = 'HeadwaterError'
    this.code = code
    this.hint = hint
    this.#members = members
    Object.assign(this, details)
    Object.defineProperty(this, 'name', { enumerable: false })
  }

  /** The error as the protocol writes it. */
  static membersOf(error: HeadwaterError): ErrorMembers {
    return error.#members
  }
}

/** The faults beyond the one that the message names itself. */
function faultLines(faults: unknown, message: string): string[] {
  if (!Array.isArray(faults)) return []
  const others = (faults as Fault[]).filter(({ field, message: what }) => !message.includes(field ? `${field}: ${what}` : what))
  return others.map((fault) => `${fault.field || '(the whole value)'}: ${fault.message}`)
}

export function invalidInput(message: string, hint = ''): HeadwaterError {
  return new HeadwaterError({ code: 'INVALID_INPUT', message, ...(hint ? { hint } : {}) })
}

export function handlerFailed(message: string, hint = ''): HeadwaterError {
  return new HeadwaterError({ code: 'HANDLER_FAILED', message, ...(hint ? { hint } : {}) })
}
