"""The published clients drop what is stamped before what they have seen. So a server that comes back under a
clock that went back, however far, must still be above it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater.storage.sqlite import SqliteStore
from support.published_client import INSTALLED, PublishedClient
from support.socket_server import SocketStage, socket_stage
from support.stream_clock import HandClock

pytestmark = [
    pytest.mark.npm,
    pytest.mark.skipif(not INSTALLED, reason="the published clients are not installed; `make npm` does it"),
]

HOUR = 3600.0


@pytest.fixture(params=["node-0.8", "node-0.17", "browser-0.17"])
def client(request: pytest.FixtureRequest) -> Iterator[PublishedClient]:
    client = PublishedClient(request.param)
    yield client
    client.close()


async def until(client: PublishedClient, name: str, state: Any) -> None:
    """Wait until a subscription holds that; the client's process answers from another thread."""
    await asyncio.to_thread(client.wait, name, state)


async def burst(stage: SocketStage, number: int) -> None:
    """Many writes in one moment of the clock, so that the stamps run ahead of it."""
    await asyncio.gather(*[stage.set("a", n=n) for n in range(number)])


async def test_a_page_goes_on_after_a_restart_under_a_clock_that_went_back(
    client: PublishedClient, tmp_path: Path
) -> None:
    clock = HandClock()
    file = tmp_path / "data.db"
    async with socket_stage(store=await SqliteStore.open(file), clock=clock) as stage:
        port = stage.port
        await asyncio.to_thread(client.do, "open", client="c", url=f"http://127.0.0.1:{port}")
        await asyncio.to_thread(client.join, "group", "chat", "room")
        await asyncio.to_thread(client.join, "item", "chat", "room", "a")
        await burst(stage, 3000)
        await until(client, "group", [{"id": "a", "n": 2999}])
        clock.time += (
            HOUR  # Nothing is written from here on, but a page that joins takes stamps of this hour.
        )
        await asyncio.to_thread(client.join, "late", "chat", "room")
        await until(client, "late", [{"id": "a", "n": 2999}])
    clock.time -= 3 * HOUR
    async with socket_stage(store=await SqliteStore.open(file), clock=clock, port=port) as stage:
        await stage.set("a", n=-1)
        await stage.set("b", n=1)
        for name in ("group", "late"):
            await until(client, name, [{"id": "a", "n": -1}, {"id": "b", "n": 1}])
        await until(client, "item", {"id": "a", "n": -1})
        await stage.set("a", n=-2)
        await stage.delete("b")
        for name in ("group", "late"):
            await until(client, name, [{"id": "a", "n": -2}])
        await until(client, "item", {"id": "a", "n": -2})
