"""The Python client beside a server in a process of its own: what its readers see over kills and restarts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from headwater.client import Changed, Client, Event, connect
from support.scenario_server import Server

T = TypeVar("T")

SECONDS = 60.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("client") / "project")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(shared: Server) -> AsyncGenerator[Client]:
    async with connect(shared.url) as client:
        yield client


async def write(server: Server, group: str, *writes: dict[str, Any]) -> None:
    whole = [{"stream": "room", "group": group, **one} for one in writes]
    assert await asyncio.to_thread(server.write, whole) == ""


async def following(source: AsyncIterator[T]) -> T:
    async with asyncio.timeout(SECONDS):
        return await anext(source)


async def until(source: AsyncIterator[T], wanted: T) -> None:
    """Read on until that comes; states between may be left out."""
    async with asyncio.timeout(SECONDS):
        async for seen in source:
            if seen == wanted:
                return
    raise AssertionError("it ended")


async def test_a_group_is_a_list_of_items_at_first_and_after_each_change(
    shared: Server, client: Client
) -> None:
    await write(shared, "a", {"set": "x", "data": {"n": 1}})
    group = client.group("room", "a")
    assert await following(group) == [{"id": "x", "n": 1}]
    await write(shared, "a", {"set": "y", "data": {}}, {"delete": "x"})
    await until(group, [{"id": "y"}])
    await group.aclose()


async def test_an_empty_group_is_told_of_too(client: Client) -> None:
    group = client.group("room", "empty")
    assert await following(group) == []
    await group.aclose()


async def test_changes_tell_of_each_create_update_and_delete(shared: Server, client: Client) -> None:
    await write(shared, "c", {"set": "x", "data": {"n": 1}})
    changes = client.changes("room", "c")
    assert await following(changes) == Changed("create", {"id": "x", "n": 1})
    await write(shared, "c", {"set": "x", "data": {"n": 2}}, {"delete": "x"})
    assert await following(changes) == Changed("update", {"id": "x", "n": 2})
    assert await following(changes) == Changed("delete", {"id": "x", "n": 2})
    await changes.aclose()


async def test_events_are_those_of_the_group_or_of_the_item(shared: Server, client: Client) -> None:
    group, item = client.events("room", "d"), client.events("room", "d", "x")
    first = asyncio.create_task(until(group, Event("typing", 1)))
    second = asyncio.create_task(following(item))
    typing, wave = {"send": {"type": "typing", "data": 1}}, {"send": {"type": "wave", "data": 2}, "id": "x"}
    while not (first.done() and second.done()):
        # An event reaches whoever is live by then; each subscription is once it has caught up.
        await write(shared, "d", typing, wave)
        await asyncio.wait({first, second}, timeout=0.1)
    await first
    assert await second == Event("wave", 2)
    for source in (group, item):
        await source.aclose()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "killed"])
async def test_it_comes_back_and_tells_each_change_once(tmp_path: Path, end: int) -> None:
    server = Server(tmp_path / "project")
    await asyncio.to_thread(server.start)
    try:
        async with connect(server.url) as client:
            changes = client.changes("room", "g")
            await write(server, "g", {"set": "a", "data": {}}, {"set": "b", "data": {}})
            assert {(await following(changes)).item["id"] for _ in range(2)} == {"a", "b"}
            await asyncio.to_thread(server.stop, end)
            await asyncio.to_thread(server.start)
            await write(server, "g", {"delete": "a"}, {"set": "c", "data": {}})
            assert [(one.kind, one.item["id"]) for one in [await following(changes) for _ in range(2)]] == [
                ("delete", "a"),
                ("create", "c"),
            ]
            await changes.aclose()
    finally:
        await asyncio.to_thread(server.stop)
