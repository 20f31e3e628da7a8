"""The Python client writes to a server in a process of its own, renews its token, comes back from both."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeVar

import pytest

from headwater.client import Client, Refused, SubscriptionEnded, connect
from headwater.errors import InvalidInput
from support.scenario_server import Server

T = TypeVar("T")

SECONDS = 60.0
STREAM = "shared"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("writing") / "project", knows_tokens=True)
    server.start()
    yield server
    server.stop()


async def until(source: AsyncIterator[T], wanted: T) -> None:
    """Read on until that comes; states between may be left out."""
    async with asyncio.timeout(SECONDS):
        async for seen in source:
            if seen == wanted:
                return
    raise AssertionError("it ended")


def code(refused: pytest.ExceptionInfo[Refused]) -> Any:
    return refused.value.details["reason"]


def token(name: str, seconds: float) -> str:
    return f"{name}~{time.time() + seconds}"


async def test_a_program_writes_without_following_anything(server: Server) -> None:
    async with connect(server.url) as client:
        assert await client.set(STREAM, "a", "x", {"n": 1}) == 1
        assert await client.update(STREAM, "a", "x", [{"type": "increment", "path": "n", "by": 4}]) == 2
        assert await client.set(STREAM, "a", "y", {}, key="once") == 3
        assert await client.set(STREAM, "a", "y", {"again": True}, key="once") == 3
        await client.send(STREAM, "a", {"type": "wave", "data": None})
        assert await client.delete(STREAM, "a", "nobody") == 0
        assert await client.delete(STREAM, "a", "y") == 4
        await until(client.group(STREAM, "a"), [{"id": "x", "n": 5}])


async def test_a_write_may_be_of_the_version_that_was_seen(server: Server) -> None:
    async with connect(server.url) as client:
        await client.set(STREAM, "b", "x", {"n": 1}, if_version=0)
        group = client.group(STREAM, "b")
        assert await anext(group) == [{"id": "x", "n": 1}]
        assert [client.version_of(STREAM, "b", one) for one in ("x", "y")] == [1, 0]
        await client.set(STREAM, "b", "x", {"n": 2}, if_version=client.version_of(STREAM, "b", "x"))
        with pytest.raises(Refused) as refused:
            await client.set(STREAM, "b", "x", {"n": 3}, if_version=1)
        assert (code(refused), refused.value.details["version"]) == ("CONFLICT", 2)
        await group.aclose()


async def test_what_cannot_travel_is_refused_where_it_is_given(server: Server) -> None:
    async with connect(server.url) as client:
        with pytest.raises(InvalidInput, match="object"):
            await client.set(STREAM, "c", "x", [1])  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="cannot be sent"):
            await client.update(STREAM, "c", "x", [{"type": "set", "path": "n", "value": object()}])
        with pytest.raises(InvalidInput, match="non-empty"):
            await client.delete(STREAM, "c", "")
        with pytest.raises(Refused) as refused:
            await client.set(STREAM, "c", "x", {"text": "x" * 2**20})
        assert code(refused) == "TOO_LARGE"
    async with connect("http://127.0.0.1:1", wait=None) as away:
        with pytest.raises(InvalidInput, match="no version"):
            await away.set(STREAM, "c", "x", {}, if_version=3)


async def test_what_waits_for_a_connection_is_written_in_order_once_there_is_one(server: Server) -> None:
    async with connect(server.url) as client, asyncio.TaskGroup() as tasks:
        group = client.group(STREAM, "d")
        assert await anext(group) == []
        await asyncio.to_thread(server.stop)
        while client.status != "offline":
            await asyncio.sleep(0.01)
        with pytest.raises(Refused) as refused:
            await client.set(STREAM, "d", "x", {"text": "never"})
        assert code(refused) == "OFFLINE"
        added = [{"type": "append", "path": "text", "value": str(n)} for n in range(50)]
        writes = [tasks.create_task(client.update(STREAM, "d", "x", [one], offline=True)) for one in added]
        await asyncio.sleep(0)
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(SECONDS):
            assert await asyncio.gather(*writes) == list(range(1, 51))
        await until(group, [{"id": "x", "text": "".join(str(n) for n in range(50))}])
        await group.aclose()


async def test_a_write_that_is_given_up_before_it_was_said_is_not_said_later(server: Server) -> None:
    async with connect(server.url) as client:
        await asyncio.to_thread(server.stop)
        while client.status != "offline":
            await asyncio.sleep(0.01)
        given_up = asyncio.create_task(client.set(STREAM, "given-up", "x", {}, offline=True))
        kept = asyncio.create_task(client.set(STREAM, "given-up", "y", {}, offline=True))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(SECONDS):
            assert await kept == 1
        await until(client.group(STREAM, "given-up"), [{"id": "y"}])


async def test_no_more_than_so_many_wait_and_a_client_that_is_closed_says_so(server: Server) -> None:
    client = Client("http://127.0.0.1:1", wait=None, most_writes=2)
    async with client:
        waiting = [asyncio.create_task(client.set(STREAM, "e", "x", {}, offline=True)) for _ in range(3)]
        with pytest.raises(Refused) as refused:
            await waiting[2]
        assert code(refused) == "QUEUE_FULL"
    for write in waiting[:2]:
        with pytest.raises(Refused) as refused:
            await write
        assert code(refused) == "OFFLINE"


async def test_a_token_that_ends_is_renewed_and_readers_read_on(server: Server) -> None:
    asked = itertools.count(1)
    renewed = asyncio.Event()

    async def ask() -> str:
        # Most often there is none when the one before ends, and for a while after.
        number = next(asked)
        if 1 < number < 9:
            raise OSError("no network")
        if number > 1:
            renewed.set()
        return token("ada", 600 if number > 1 else 1)

    async with connect(server.url, token=ask) as client:
        group = client.group("guarded", "f")
        assert await anext(group) == []
        await renewed.wait()
        assert (
            await asyncio.to_thread(
                server.write, [{"stream": "guarded", "group": "f", "set": "x", "data": {}}]
            )
            == ""
        )
        await until(group, [{"id": "x"}])
        assert await client.set(STREAM, "f", "x", {}) == 1
        await group.aclose()
    assert next(asked) == 10


async def test_without_a_token_function_a_program_says_so_itself(server: Server) -> None:
    async with connect(server.url, token=token("ada", 0.5)) as client:
        group = client.group(STREAM, "g")
        assert await anext(group) == []
        with pytest.raises(SubscriptionEnded) as ended:
            await anext(group)
        assert ended.value.details["reason"] == "TOKEN_EXPIRED"
        with pytest.raises(Refused) as refused:
            await client.set(STREAM, "g", "x", {})
        assert code(refused) == "TOKEN_EXPIRED"
        with pytest.raises(Refused) as refused:
            await client.auth("forged")
        assert code(refused) == "UNAUTHENTICATED"
        await client.auth(token("ada", 600))
        assert await client.set(STREAM, "g", "x", {}) == 1
