/** Writes an answer into its item, token by token. */

import type { FlowContext } from 'headwater'
import { endpoint, LlmError, type Message, modelOf, pieces, type Told } from './llm'

const RULES = 'Answer in Markdown: paragraphs, lists, bold, code. No tables, no images, no HTML.'
/** How much of a room the model is told: so many messages. */
const LAST_MESSAGES = 40

/** Put an answer that waits into the room, and have it written. */
export async function begin(ctx: FlowContext, room: string, id: string) {
  await ctx.streams.answering.set('all', id, { room })
  const at = new Date().toISOString()
  const answer = await ctx.streams.messages.set(room, id, { role: 'assistant', text: '', at, status: 'waiting' })
  void write(ctx, room, id)
  return answer
}

/** Write one answer to its end, good or bad. */
export async function write(ctx: FlowContext, room: string, id: string): Promise<void> {
  const { messages, answering } = ctx.streams
  const began = performance.now()
  const told: Told = {}
  let end: { status: 'done' | 'error' | 'cancelled'; note?: string } = { status: 'done' }
  try {
    const conversation = conversationBefore(await messages.getGroup(room), id)
    const place = await endpoint()
    const model = await modelOf(place)
    await messages.update(room, id, [{ type: 'merge', value: { status: 'streaming', model, local: place.local, text: '' } }])
    for await (const value of pieces(place, model, conversation, told)) {
      const item = await messages.update(room, id, [{ type: 'append', path: 'text', value }])
      if (item.status === 'cancelled') {
        end = { status: 'cancelled' }
        break
      }
    }
  } catch (error) {
    // An answer must come to an end that can be seen.
    if (!(error instanceof LlmError)) ctx.logger.error('An answer failed.', { error: String(error) })
    end = { status: 'error', note: error instanceof LlmError ? error.message : 'Something went wrong here. The log of the server says what.' }
  }
  await messages.update(room, id, [{ type: 'merge', value: { ...end, ...factsOf(told, began) } }])
  await answering.delete('all', id)
}

/** What there is to say of an answer that has ended. */
function factsOf({ usage, finish }: Told, began: number) {
  return {
    seconds: Math.round((performance.now() - began) / 100) / 10,
    ...(usage?.completion_tokens && { tokens: usage.completion_tokens }),
    ...(finish === 'length' && { note: "The endpoint's limit of tokens was reached." }),
  }
}

/** What the model is told: the messages before the answer, as far as they say anything. */
function conversationBefore(items: { id: string; role: string; text: string }[], id: string): Message[] {
  const before = items.slice(0, items.findIndex((item) => item.id === id)).filter(({ text }) => text)
  const said = before.slice(-LAST_MESSAGES).map(({ role, text }) => ({ role, content: text }))
  return [{ role: 'system', content: RULES }, ...said]
}
