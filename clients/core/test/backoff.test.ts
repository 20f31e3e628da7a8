import { expect, test } from 'vitest'

import { Backoff, SOON_ATTEMPTS } from '../src/backoff.ts'

const waits = (chance: number, attempts: number) => {
  const backoff = new Backoff(() => chance)
  return Array.from({ length: attempts }, () => backoff.wait())
}

test('a server that is back within half a minute is found within a second', () => {
  expect(waits(1, 5)).toEqual([250, 500, 1000, 1000, 1000])
  const soon = (chance: number) => waits(chance, SOON_ATTEMPTS)
  expect(Math.max(...soon(1))).toBe(1000)
  expect(soon(0.5).reduce((sum, wait) => sum + wait)).toBeGreaterThan(25_000)
})

test('one that is away for longer is asked less and less, and never given up', () => {
  expect(waits(1, SOON_ATTEMPTS + 5).slice(SOON_ATTEMPTS)).toEqual([2000, 4000, 8000, 15_000, 15_000])
  expect(waits(1, 5000).at(-1)).toBe(15_000)
})

test('chance spreads each wait over its second half, so that attempts are neither together nor idle', () => {
  expect(waits(0, 4)).toEqual([125, 250, 500, 500])
  expect(waits(0, SOON_ATTEMPTS + 6).at(-1)).toBe(7500)
})

test('it begins anew when it is told to', () => {
  const backoff = new Backoff(() => 1)
  for (let attempt = 0; attempt < 60; attempt += 1) backoff.wait()
  backoff.beginAnew()
  expect(backoff.wait()).toBe(250)
})
