"""Writes an answer into its item, token by token."""

import asyncio
import time
from datetime import UTC, datetime

from llm import LlmError, Told, endpoint, model_of, pieces

RULES = "Answer in Markdown: paragraphs, lists, bold, code. No tables, no images, no HTML."
LAST_MESSAGES = 40
"""How much of a room the model is told: so many messages."""

tasks = set()


async def begin(ctx, room, answer_id):
    """Put an answer that waits into the room, and have it written."""
    waiting = {"role": "assistant", "text": "", "at": datetime.now(UTC).isoformat(), "status": "waiting"}
    await ctx.streams.answering.set("all", answer_id, {"room": room})
    answer = await ctx.streams.messages.set(room, answer_id, waiting)
    task = asyncio.create_task(write(ctx, room, answer_id))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return answer


async def write(ctx, room, answer_id):
    """Write one answer to its end, good or bad."""
    messages = ctx.streams.messages
    began, told = time.monotonic(), Told()
    end = {"status": "done"}
    try:
        conversation = conversation_before(await messages.get_group(room), answer_id)
        place = endpoint()
        model = await model_of(place)
        begun = {"status": "streaming", "model": model, "local": place.local, "text": ""}
        await messages.update(room, answer_id, [{"type": "merge", "value": begun}])
        async for piece in pieces(place, model, conversation, told):
            item = await messages.update(
                room, answer_id, [{"type": "append", "path": "text", "value": piece}]
            )
            if item["status"] == "cancelled":
                end = {"status": "cancelled"}
                break
    except LlmError as error:
        end = {"status": "error", "note": str(error)}
    except Exception as error:  # an answer must come to an end that can be seen
        ctx.logger.error("An answer failed.", error=repr(error))
        end = {"status": "error", "note": "Something went wrong here. The log of the server says what."}
    await messages.update(room, answer_id, [{"type": "merge", "value": end | facts(began, told)}])
    await ctx.streams.answering.delete("all", answer_id)


def facts(began, told):
    """What there is to say of an answer that has ended."""
    known = {"seconds": round(time.monotonic() - began, 1)}
    if tokens := told.usage.get("completion_tokens"):
        known["tokens"] = tokens
    if told.finish == "length":
        known["note"] = "The endpoint's limit of tokens was reached."
    return known


def conversation_before(items, answer_id):
    """What the model is told: the messages before the answer, as far as they say anything."""
    ids = [item["id"] for item in items]
    before = [item for item in items[: ids.index(answer_id)] if item["text"]][-LAST_MESSAGES:]
    said = [{"role": item["role"], "content": item["text"]} for item in before]
    return [{"role": "system", "content": RULES}, *said]
