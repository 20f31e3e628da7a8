"""Every measuring point is told once, by the part that meets it, with a real server around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect

from headwater.app import Running
from headwater.config import (
    ServerSettings,
    Settings,
    SocketSettings,
    StorageSettings,
    WorkerSettings,
    WorkSettings,
)
from headwater.lifetime import _serving  # pyright: ignore[reportPrivateUsage]
from headwater.storage.memory import MemoryStore
from support.ear import Ear

STREAM = "config = {'name': 'chat', 'schema': {'type': 'object'}}\n"
API = """config = {"type": "api", "name": "Say", "method": "POST", "path": "/say", "flows": [],
          "emits": ["said"]}

async def handler(req, ctx):
    body = req["body"] or {}
    if "emit" in body:
        await ctx.emit({"topic": "said", "data": body["emit"]})
    else:
        await ctx.streams.chat.set("room", "a", {"id": "a", **body})
    return {"status": 201, "body": {}}
"""
EVENT = """config = {"type": "event", "name": "Hear", "subscribes": ["said"], "emits": []}

async def handler(data, ctx):
    if data == "bad":
        raise ValueError("bad")
"""


class Site:
    def __init__(self, server: Running) -> None:
        self.server = server
        self.ear = Ear()
        self.of, self.until = self.ear.of, self.ear.until
        server.observers.add(self.ear)

    def limits(self) -> set[str]:
        return set(self.ear.limits())


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    (tmp_path / "steps").mkdir()
    for name, text in (("chat_stream.py", STREAM), ("say_step.py", API), ("hear_step.py", EVENT)):
        (tmp_path / "steps" / name).write_text(text)
    settings = Settings(
        tmp_path,
        server=ServerSettings(port=0, max_body_bytes=2000, max_header_bytes=2000, max_form_bytes=100),
        socket=SocketSettings(max_subscriptions=2, max_id_bytes=20, max_frame_bytes=2000),
        storage=StorageSettings(max_item_bytes=500),
        workers=WorkerSettings(size=1, max_size=1),
        work=WorkSettings(max_payload_bytes=300, retry_first=0.01, max_retries=1),
    )
    server = Running(replace(settings), MemoryStore())
    made = Site(server)
    async with _serving(server):
        yield made


def _sub(sub: int, group: str = "room", stream: str = "chat") -> str:
    return orjson.dumps({"t": "sub", "sub": sub, "stream": stream, "group": group}).decode()


async def test_an_invocation_a_subscription_and_a_flush_are_told_once(site: Site) -> None:
    url = site.server.url.replace("http", "ws")
    async with connect(url, subprotocols=["headwater.v1"]) as socket, httpx.AsyncClient() as client:  # pyright: ignore
        await socket.send(_sub(1))
        await site.until("live")
        assert (await client.post(f"{site.server.url}/say")).status_code == 201
        ((flush,),) = await site.until("delivered")
    assert (flush.changes, flush.subscribers, flush.group.group) == (1, 1, "room")
    assert flush.size > 0
    assert [item for _, item in site.of("subscribed")] == [None]
    assert [why for _, why in site.of("behind")] == ["join"]
    ((invoked,),) = site.of("invoked")
    ((ended, seconds, code),) = site.of("ended")
    assert invoked == ended
    assert (ended.file, ended.step, code) == ("steps/say_step.py", "Say", "")
    assert 0 < seconds < 30


async def test_the_life_of_a_job_is_told(site: Site) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.post(f"{site.server.url}/say", json={"emit": "good"})).status_code == 201
        await site.until("job_ended")
        assert (await client.post(f"{site.server.url}/say", json={"emit": "bad"})).status_code == 201
        ended = await site.until("job_ended", 2)
    assert [(job.step, job.topic, job.attempt, status, code) for job, status, code in ended] == [
        ("Hear", "said", 1, "done", ""),
        ("Hear", "said", 2, "dead", "HANDLER_FAILED"),
    ]
    assert [job.step for (job,) in site.of("job_accepted")] == ["Hear", "Hear"]
    assert [job.attempt for (job,) in site.of("job_begun")] == [1, 1, 2]
    ((job, code, wait),) = site.of("job_retried")
    assert (job.attempt, code) == (1, "HANDLER_FAILED")
    assert 0 < wait < 1


async def test_each_limit_that_is_met_is_told_with_its_setting(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.server.url) as client:
        await client.post("/say", content=b"x" * 3000)
        await client.post("/say", headers={"x-long": "x" * 3000})
        await client.post("/say", data={"a": "x" * 200})
        await client.post("/say", json={"text": "x" * 600})
        await client.post("/say", json={"emit": "x" * 400})
        await client.get(f"/streams/chat/{'x' * 30}")
    async with connect(site.server.url.replace("http", "ws"), subprotocols=["headwater.v1"]) as socket:  # pyright: ignore
        for number in range(1, 4):
            await socket.send(_sub(number, f"g{number}"))
        await socket.send(_sub(9, "x" * 30))
        await site.until("refused", 3)
        await socket.send("x" * 3000)
        await socket.wait_closed()
    assert site.limits() == {
        "server.max_body_bytes",
        "server.max_form_bytes",
        "server.max_header_bytes",
        "socket.max_frame_bytes",
        "socket.max_id_bytes",
        "socket.max_subscriptions",
        "storage.max_item_bytes",
        "work.max_payload_bytes",
    }
    assert all(count == 1 for count in _counts(site).values()), _counts(site)


def _counts(site: Site) -> dict[str, int]:
    """How often each limit was told; ids are met twice, by HTTP and by the socket."""
    names = [setting for setting, _ in site.of("limited")]
    names.remove("socket.max_id_bytes")
    return {name: names.count(name) for name in names}


async def test_a_stream_that_is_unknown_is_refused_at_the_gate(site: Site) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{site.server.url}/streams/none/room")).status_code == 404
    ((peer, error),) = site.of("refused")
    assert (peer.kind, error.code) == ("http", "STREAM_UNKNOWN")
