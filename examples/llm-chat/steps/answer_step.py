"""Writes an answer into its item, token by token. Nobody waits for it, and nobody has to look."""

import asyncio
import os
import time

from llm import LlmError, Told, conversation_before, endpoint, model_of, pieces

from headwater.errors import Conflict

config = {
    "type": "event",
    "name": "Answer",
    "subscribes": ["question.asked"],
    "emits": [],
    "input": {
        "type": "object",
        "properties": {"room": {"type": "string"}, "answer": {"type": "string"}},
        "required": ["room", "answer"],
    },
    # The answers of a room are written one after the other, those of other rooms beside them.
    "infrastructure": {"queue": {"type": "fifo", "concurrency": 50}},
}


async def handler(asked, ctx):
    room, answer_id = asked["room"], asked["answer"]
    answer = await ctx.streams.messages.get(room, answer_id)
    # An event may come twice, and somebody may have stopped it while it waited.
    if answer is not None and answer["status"] in ("waiting", "streaming"):
        await write(ctx, room, answer)
    await ctx.streams.answering.delete("all", answer_id)


async def write(ctx, room, answer):
    """Write the answer to its end, good or bad: one that everybody can see."""
    messages, began, told = ctx.streams.messages, time.monotonic(), Told()
    end = {"status": "done"}
    try:
        await ctx.owns(answer)  # from now on whoever sees the answer can stop this run
        place = endpoint()
        model = await ctx.step("model", model_of, place)  # another attempt asks the same one
        again = begin_again(answer) if answer["status"] == "streaming" else {}
        begun = {"status": "streaming", "model": model, "local": place.local, **again}
        begin = {"type": "merge", "value": begun}
        await messages.update(room, answer["id"], [begin], if_version=answer.version)
        conversation = conversation_before(answer["id"], await messages.get_group(room))
        async for piece in pieces(place, model, conversation, told):
            append = {"type": "append", "path": "text", "value": piece}
            await messages.update(room, answer["id"], [append])
    except asyncio.CancelledError:
        if not ctx.cancelled:  # nobody stopped it: this worker ends, and another goes on with the run
            raise
        end = {"status": "cancelled"}
    except Conflict:
        return  # somebody stopped it in the moment before it had a run to be stopped
    except LlmError as error:
        end = {"status": "error", "note": str(error)}
    except Exception as error:
        ctx.logger.error("An answer failed.", error=repr(error))
        end = {"status": "error", "note": "Something went wrong here. The log of the server says what."}
    end |= {"seconds": round(time.monotonic() - began, 1), **told.facts()}
    await messages.update(room, answer["id"], [{"type": "merge", "value": end}])


def begin_again(answer):
    """What changes in an answer that was being written when the server ended.

    Not every endpoint goes on with an answer that it is given the beginning of, so it is begun anew unless
    the settings say that this one does.
    """
    resumed = os.environ.get("LLM_AFTER_RESTART") == "continue"
    return {"attempt": answer.get("attempt", 1) + 1, "resumed": resumed, **({} if resumed else {"text": ""})}
