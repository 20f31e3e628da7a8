"""POST /rooms/:room/messages/:id/stop: stops an answer that nobody writes.

One that is being written is stopped by the item that its run has claimed, see `public/server.js`. One that
waits has no run yet, and one whose server was killed as it was stopped has none any more.
"""

from headwater.errors import Conflict

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
        try:
            await ctx.streams.messages.update(room, answer_id, stopped, if_version=answer.version)
        except Conflict:
            return {"status": 409, "body": {"detail": "It is being written by now. Stop it again."}}
        await ctx.streams.answering.delete("all", answer_id)
    return {"status": 204}
