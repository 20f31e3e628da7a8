import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { connect, type Item } from '../src/index.ts'
import { type Message, peer } from './peer.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Chance that comes again: a linear congruential generator. */
function chance(seed: number) {
  let state = seed * 2654435761
  return (below: number): number => {
    state = (state * 1664525 + 1013904223) % 2 ** 32
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** One counter that a page and others count up together; answers and changes reach the page in any order that may be. */
async function countsTogether(seed: number, merges: boolean): Promise<void> {
  const pick = chance(seed)
  const server = peer()
  const client = connect('http://server', { WebSocket: server.WebSocket })
  const group = client.group<Item & { n: number }>('room', 'g')
  await vi.advanceTimersByTimeAsync(1)
  let socket = server.last.accept().fill(1, [[1, 1, { id: 'a', n: 0 }]])
  await vi.advanceTimersByTimeAsync(1)
  const shown: number[] = []
  group.addChangeListener((items) => shown.push(items[0]?.n ?? -1))
  // What the server has done, and how far the page has heard of it.
  let n = 0
  let version = 1
  let told = 1
  let feed = 101
  const known = new Map<string, number>()
  const asked: Message[] = []
  let read = 0
  const answers: Message[] = []
  const values = [0, 0]
  const take = () => {
    for (; read < socket.sent.length; read++) if (socket.sent[read]!.t === 'update') asked.push(socket.sent[read]!)
  }
  const commit = (key?: string) => {
    if (key && known.has(key)) return known.get(key)!
    values[++version] = ++n
    if (key) known.set(key, version)
    return version
  }
  let mine = 0
  const step = async () => {
    take()
    const what = pick(7)
    if (what === 0 && mine < 12) {
      mine++
      void group.update('a', [{ type: 'increment', path: 'n' }], { offline: true })
    } else if (what === 1) commit()
    else if (what === 2 && asked.length) {
      const { key, ask } = asked.shift()!
      answers.push({ t: 'ok', ask, v: commit(key) })
    } else if (what === 3 && answers.length) socket.say(...answers.splice(pick(answers.length), 1))
    else if (what === 4 && told < version) {
      told = merges ? told + 1 + pick(version - told) : told + 1
      socket.say({ t: 'patch', f: feed, v: told, i: 'a', o: [['s', ['n'], values[told]]] })
    } else if (what === 5 && pick(8) === 0) {
      // What is under way is lost, answers above all; the page resumes.
      socket.break()
      await vi.advanceTimersByTimeAsync(300)
      asked.length = answers.length = read = 0
      socket = server.last.accept()
      const { sub } = socket.of('sub')[0]!
      feed = 100 + sub
      told = version
      socket.fill(sub, [[version, 1, { id: 'a', n }]], version)
    }
    await vi.advanceTimersByTimeAsync(pick(3) === 0 ? pick(400) : 1)
  }
  for (let turn = 0; turn < 120; turn++) await step()
  // In the end everything arrives.
  for (let turn = 0; turn < 60; turn++) {
    take()
    for (const { key, ask } of asked.splice(0)) socket.say({ t: 'ok', ask, v: commit(key) })
    socket.say(...answers.splice(0))
    if (told < version) socket.say({ t: 'patch', f: feed, v: (told = version), i: 'a', o: [['s', ['n'], n]] })
    await vi.advanceTimersByTimeAsync(400)
  }
  client.close()
  expect(shown.at(-1) ?? 0).toBe(n)
  expect(shown).toEqual([...shown].sort((a, b) => a - b))
}

for (const merges of [false, true]) {
  test(`a counter never goes back, whatever comes first (changes merged: ${merges})`, async () => {
    for (let seed = 1; seed <= 150; seed++) {
      await countsTogether(seed, merges).catch((fault) => {
        throw new Error(`seed ${seed}: ${fault.message}`)
      })
    }
  }, 120_000)
}
