// The same as record.py.
import { appendFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'

export class Attempt {
  readonly about: Record<string, unknown>

  constructor(step: string, label: string, attempt: number) {
    this.about = { step, label, attempt, token: randomUUID() }
    this.say('begin')
  }

  say(what: string): void {
    appendFileSync(process.env.SOAK_RECORD!, JSON.stringify({ ...this.about, what, at: Date.now() / 1000 }) + '\n')
  }
}
