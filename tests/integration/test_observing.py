"""A listener of a running server hears what happens in every room."""

from __future__ import annotations

from pathlib import Path

import httpx

from headwater.app import Running
from headwater.config import ServerSettings, Settings, WorkerSettings
from headwater.lifetime import _serving
from headwater.observe import Answered, Batch, Observer
from headwater.peer import Peer, PeerKind
from headwater.storage.memory import MemoryStore

STREAM = "config = {'name': 'chat', 'schema': {'type': 'object'}}\n"
STEP = """config = {"type": "api", "name": "Say", "method": "POST", "path": "/say", "flows": [], "emits": []}

async def handler(req, ctx):
    await ctx.streams.chat.set("room", "a", {"id": "a"})
    return {"status": 201, "body": {}}
"""


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[object] = []
        self.answers: list[Answered] = []

    def reloaded(self, generation: int, steps: int, streams: int) -> None:
        self.heard.append(("reloaded", generation, steps, streams))

    def committed(self, batch: Batch) -> None:
        self.heard.append(("committed", batch.writes, batch.refused))

    def answered(self, answer: Answered) -> None:
        self.answers.append(answer)

    def accepted(self, peer: Peer) -> None:
        self.heard.append(("accepted", peer.kind, peer.address))

    def left(self, kind: PeerKind) -> None:
        self.heard.append(("left", kind))


async def test_a_request_with_a_write_is_heard_from_the_project_to_the_answer(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps/chat_stream.py").write_text(STREAM)
    (tmp_path / "steps/say_step.py").write_text(STEP)
    settings = Settings(tmp_path, server=ServerSettings(port=0), workers=WorkerSettings(size=1, max_size=1))
    server, ear = Running(settings, MemoryStore()), Ear()
    server.observers.add(ear)
    async with _serving(server), httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.post("/say")).status_code == 201
        async with client.stream("GET", "/streams/chat/room", headers={"accept": "text/event-stream"}):
            pass
    assert ear.heard[:3] == [
        ("reloaded", 1, 1, 1),
        ("committed", 1, 0),
        ("accepted", "sse", "127.0.0.1"),
    ]
    assert ("left", "sse") in ear.heard
    said = ear.answers[0]
    assert (said.method, said.path, said.step, said.status) == ("POST", "/say", "Say", 201)
    assert len(said.trace.id) == 32


async def test_the_watcher_of_a_project_is_supervised_like_all_work_that_must_not_end(tmp_path: Path) -> None:
    settings = Settings(tmp_path, dev=True, server=ServerSettings(port=0))
    server = Running(settings, MemoryStore())
    async with _serving(server):
        assert "watching" in {task.name for task in server.tasks.tasks}
