// Writes an answer into its item, token by token. Nobody waits for it, and nobody has to look.

import { EventConfig, FlowContext, Handlers, HeadwaterError, Messages, StreamItem, versionOf } from 'headwater'
import { z } from 'zod'
import { conversationBefore, endpoint, factsOf, LlmError, modelOf, pieces, type Told } from '../llm'

export const config: EventConfig = {
  type: 'event',
  name: 'Answer',
  subscribes: ['question.asked'],
  emits: [],
  input: z.object({ room: z.string(), answer: z.string() }),
  // The answers of a room are written one after the other, those of other rooms beside them.
  infrastructure: { queue: { type: 'fifo', concurrency: 50 } },
}

export const handler: Handlers['Answer'] = async ({ room, answer: id }, ctx) => {
  const answer = await ctx.streams.messages.get(room, id)
  // An event may come twice, and somebody may have stopped it while it waited.
  if (answer?.status === 'waiting' || answer?.status === 'streaming') await write(ctx, room, answer)
  await ctx.streams.answering.delete('all', id)
}

/** Write the answer to its end, good or bad: one that everybody can see. */
async function write(ctx: FlowContext, room: string, answer: StreamItem<Messages>): Promise<void> {
  const { messages } = ctx.streams
  const began = performance.now()
  const told: Told = {}
  let end: Pick<Messages, 'status' | 'note'> = { status: 'done' }
  try {
    await ctx.owns(answer) // from now on whoever sees the answer can stop this run
    const place = await endpoint()
    const model = await ctx.step('model', () => modelOf(place, ctx.signal)) // another attempt asks the same one
    const again = answer.status === 'streaming' ? beginAgain(answer) : {}
    const begun = { status: 'streaming', model, local: place.local, ...again }
    await messages.update(room, answer.id, [{ type: 'merge', value: begun }], { ifVersion: versionOf(answer) })
    const conversation = conversationBefore(answer.id, await messages.getGroup(room))
    for await (const value of pieces(place, model, conversation, told, ctx.signal)) {
      await messages.update(room, answer.id, [{ type: 'append', path: 'text', value }])
    }
  } catch (error) {
    // Somebody stopped it in the moment before it had a run to be stopped.
    if (error instanceof HeadwaterError && error.code === 'CONFLICT') return
    if (!(error instanceof LlmError || ctx.cancelled)) ctx.logger.error('An answer failed.', { error: String(error) })
    end = { status: 'error', note: error instanceof LlmError ? error.message : 'Something went wrong here. The log of the server says what.' }
  }
  if (ctx.cancelled) end = { status: 'cancelled' }
  const seconds = Math.round((performance.now() - began) / 100) / 10
  await messages.update(room, answer.id, [{ type: 'merge', value: { ...end, seconds, ...factsOf(told) } }])
}

/**
 * What changes in an answer that was being written when the server ended. Not every endpoint goes on with an answer that
 * it is given the beginning of, so it is begun anew unless the settings say that this one does.
 */
function beginAgain({ attempt = 1 }: Messages): Partial<Messages> {
  const resumed = process.env.LLM_AFTER_RESTART === 'continue'
  return { attempt: attempt + 1, resumed, ...(!resumed && { text: '' }) }
}
