import { setTimeout as sleep } from 'node:timers/promises'

let tries = 0

export async function* lifespan({ logger }) {
  logger.info('opening')
  tries += 1
  await sleep(1)
  if (tries === 1) throw new Error('no database')
  // As a pool does, it keeps the loop going.
  const pool = setInterval(() => undefined, 10)
  yield { tries }
  clearInterval(pool)
  await sleep(1)
  process.stdout.write('left\n')
  throw new Error('still open')
}
