"""How a question gets its answer: an item that waits, and an event. The step that answers has the rest."""

from datetime import UTC, datetime


async def have_answered(ctx, room, answer_id):
    """Put an answer that waits into the room, or back to waiting, and have it written."""
    waiting = {"role": "assistant", "text": "", "at": datetime.now(UTC).isoformat(), "status": "waiting"}
    await ctx.streams.answering.set("all", answer_id, {"room": room})
    answer = await ctx.streams.messages.set(room, answer_id, waiting)
    asked = {"room": room, "answer": answer_id}
    await ctx.emit({"topic": "question.asked", "data": asked, "messageGroupId": room})
    return answer
