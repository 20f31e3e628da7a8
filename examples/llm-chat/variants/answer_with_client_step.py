"""The step that answers, as people have it in their projects: the official client of the package `openai`,
the blocking one, in an `async def`, with sets that nobody awaits.

It holds up nobody: a step that blocks gets a process of its own. What it sets goes out while it blocks, and a
set whose text has grown travels as what it has grown by. To use it, put it in the place of
`steps/answer_step.py`.
"""

from llm import conversation_before, endpoint
from openai import OpenAI

config = {
    "type": "event",
    "name": "Answer",
    "subscribes": ["question.asked"],
    "emits": [],
    "infrastructure": {"queue": {"type": "fifo"}},
}


async def handler(asked, ctx):
    room, messages = asked["room"], ctx.streams.messages
    answer = await messages.get(room, asked["answer"])
    if answer is None or answer["status"] not in ("waiting", "streaming"):
        return
    await ctx.owns(answer)  # from now on whoever sees the answer can stop this run
    answer = {**answer, "text": "", "attempt": answer.get("attempt", 0) + 1}
    messages.set(room, answer["id"], answer)
    conversation = conversation_before(answer["id"], await messages.get_group(room))
    place = endpoint()
    client = OpenAI(base_url=place.url, api_key=place.key or "none", max_retries=0)
    try:
        answer |= {"model": place.model or client.models.list().data[0].id, "local": place.local}
        chunks = client.chat.completions.create(model=answer["model"], messages=conversation, stream=True)
        for chunk in chunks:
            if ctx.cancelled:  # somebody has stopped it
                chunks.close()
                break
            text = chunk.choices[0].delta.content if chunk.choices else None
            answer |= {"status": "streaming", "text": answer["text"] + (text or "")}
            messages.set(room, answer["id"], answer)
        answer["status"] = "cancelled" if ctx.cancelled else "done"
    except Exception as error:
        answer |= {"status": "error", "note": str(error)}
    messages.set(room, answer["id"], answer)
    ctx.streams.answering.delete("all", answer["id"])
