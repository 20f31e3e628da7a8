"""POST /rooms/:room/messages/:id/again: has an answer written anew, such as one that failed."""

from asking import have_answered

config = {
    "type": "api",
    "name": "AskAgain",
    "method": "POST",
    "path": "/rooms/:room/messages/:id/again",
    "emits": ["question.asked"],
}


async def handler(req, ctx):
    room, answer_id = req["pathParams"]["room"], req["pathParams"]["id"]
    answer = await ctx.streams.messages.get(room, answer_id)
    if answer is None or answer["role"] != "assistant":
        return {"status": 404, "body": {"detail": "There is no such answer."}}
    if answer["status"] in ("waiting", "streaming"):
        return {"status": 409, "body": {"detail": "It is being answered already."}}
    return {"status": 202, "body": await have_answered(ctx, room, answer_id)}
