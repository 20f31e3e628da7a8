"""POST /rooms/:room/messages/:id/stop: stops an answer, whoever asked for it."""

config = {
    "type": "api",
    "name": "Stop",
    "method": "POST",
    "path": "/rooms/:room/messages/:id/stop",
    "emits": [],
}


async def handler(req, ctx):
    room, answer_id = req["pathParams"]["room"], req["pathParams"]["id"]
    answer = await ctx.streams.messages.get(room, answer_id)
    if answer is not None and answer["status"] in ("waiting", "streaming"):
        stopped = [{"type": "set", "path": "status", "value": "cancelled"}]
        await ctx.streams.messages.update(room, answer_id, stopped)
        await ctx.streams.answering.delete("all", answer_id)
    return {"status": 204}
