/** How a question gets its answer: an item that waits, and an event. The step that answers has the rest. */

import type { FlowContext } from 'headwater'

type Asked = { topic: 'question.asked'; data: { room: string; answer: string } }

/** Put an answer that waits into the room, or back to waiting, and have it written. */
export async function haveAnswered({ streams, emit }: FlowContext<Asked>, room: string, answer: string) {
  await streams.answering.set('all', answer, { room })
  const at = new Date().toISOString()
  const item = await streams.messages.set(room, answer, { role: 'assistant', text: '', at, status: 'waiting' })
  await emit({ topic: 'question.asked', data: { room, answer }, messageGroupId: room })
  return item
}
