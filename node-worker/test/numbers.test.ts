// Numbers that JSON cannot say, where user code hands them in: refused there, and never the end of a worker.

import assert from 'node:assert/strict'
import test from 'node:test'

import { checkSeconds, checkTerms } from '../src/members.ts'

test('seconds that are no finite number are refused', () => {
  for (const seconds of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, '1', null]) {
    assert.throws(() => checkSeconds('delay', seconds), /delay is a number of seconds/)
    assert.throws(() => checkTerms({ ttl: seconds }), /ttl is a number of seconds/)
  }
  checkSeconds('delay', 0.5)
})

test('a version that is no exact whole number is refused', () => {
  for (const version of [1e300, 0.5, Number.NaN]) {
    assert.throws(() => checkTerms({ if_version: version }), /whole number/)
  }
  checkTerms({ if_version: 7 })
})
