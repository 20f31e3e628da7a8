export const config = { type: 'api', name: 'Log', path: '/log', method: 'POST', emits: [] }

export const handler = async (req, { logger }) => {
  logger.debug('a debug line')
  logger.info('an info line', { number: 1, odd: new Map([[1, 2]]) })
  logger.warn('a warn line')
  logger.error('an error line', { nested: { a: [1] } })
  process.stdout.write('printed by the step\n')
  return { status: 200, body: 'logged' }
}
