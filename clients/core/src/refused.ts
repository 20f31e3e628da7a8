/** Why a question was not answered with yes. */

import type { Ended, Json } from './types.ts'

/** The server has refused what was asked, or could not be asked (`OFFLINE`): `code` is stable, `hint` says what to do. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: string
  readonly hint: string | undefined
  /** What else the server said: `faults` of a schema, the `version` of an item. */
  readonly details: Json

  constructor({ code, message, hint, ...details }: Ended) {
    super(message)
    this.code = code
    this.hint = hint
    this.details = details
  }
}

/** The refusal where nobody could be asked. */
export const offline = (message: string): Ended => ({ code: 'OFFLINE', message })
