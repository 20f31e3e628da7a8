import assert from 'node:assert/strict'
import test from 'node:test'

import { declare } from '../src/declaring.ts'
import { place } from './support.ts'

test('a file that waits at its top level for long is named, and goes into the manifest once it has ended', async (t) => {
  const { project } = place(t, {
    'steps/a.step.ts': "export const config = { type: 'noop', name: 'quick' }",
    'steps/b.step.ts': "await (globalThis as any).turn\nexport const config = { type: 'noop', name: 'slow' }",
  })
  const slow: string[] = []
  Object.assign(globalThis, { turn: new Promise<void>((go) => Object.assign(globalThis, { go })) })
  const { steps, problems } = await declare(project, (path) => (slow.push(path), (globalThis as any).go()), 100)
  assert.deepEqual(slow, ['steps/b.step.ts'])
  assert.deepEqual(steps.map(({ config }) => (config as { name: string }).name), ['quick', 'slow'])
  assert.deepEqual(problems, [])
})
