import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

import { answerOf } from '../src/responses.ts'

interface Cases<T> {
  allowed: T[]
  refused: T[]
}
const fixture = JSON.parse(readFileSync(join(process.cwd(), '../spec/fixtures/responses.json'), 'utf8')) as {
  statuses: Cases<number>
  names: Cases<string>
  values: Cases<string>
}

const respond = (status: number, name: string, value: string): unknown =>
  answerOf({ status, headers: { [name]: value } })

const gates: [string, Cases<never>, (one: never) => unknown][] = [
  ['a status', fixture.statuses as Cases<never>, (one) => respond(one, 'x', 'y')],
  ['a name', fixture.names as Cases<never>, (one) => respond(200, one, 'y')],
  ['a value', fixture.values as Cases<never>, (one) => respond(200, 'x', one)],
]

for (const [what, cases, respondWith] of gates) {
  for (const one of cases.allowed) test(`${JSON.stringify(one)} is ${what}`, () => void respondWith(one))
  for (const one of cases.refused) {
    test(`${JSON.stringify(one)} is no ${what.split(' ')[1]}`, () => {
      assert.throws(() => respondWith(one), { code: 'HANDLER_FAILED' })
    })
  }
}
