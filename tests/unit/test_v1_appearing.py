"""A subscription to a stream that is not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.model import GroupKey
from headwater.server.live.gate import MOST_AWAITED, StreamGate
from headwater.streams.catalog import StreamRules
from support.v1_client import JudgedClient
from support.v1_stage import V1Stage


async def no(*_: Any) -> bool:
    return False


@pytest.fixture
async def stage() -> AsyncGenerator[V1Stage]:
    stage = V1Stage()
    stage.gate = StreamGate(stage.catalog, no)
    yield stage
    await stage.close()


def told(client: JudgedClient) -> list[int]:
    assert client.socket is not None
    said = [orjson.loads(one) for one in client.socket.waiting]
    return [message["sub"] for message in said if message["t"] == "appeared"]


async def test_its_client_is_told_when_it_is(stage: V1Stage) -> None:
    client = stage.connect()
    one = client.subscribe(GroupKey("later", "room"), None, None)
    other = client.subscribe(GroupKey("never", "room"), None, None)
    await stage.exchange(client)
    assert [one.error and one.error["code"], other.error and other.error["code"]] == ["STREAM_UNKNOWN"] * 2

    stage.catalog.declare([StreamRules(name="later")])
    assert told(client) == [one.number]
    client.read()
    again = client.subscribe(GroupKey("later", "room"), None, None)
    await stage.exchange(client)
    assert again.state.live


async def test_of_the_latest_alone_and_not_when_it_has_left(stage: V1Stage) -> None:
    client, gone = stage.connect(), stage.connect()
    gone.subscribe(GroupKey("later", "room"), None, None)
    gone.disconnect()
    asked = [client.subscribe(GroupKey("later", str(n)), None, None) for n in range(MOST_AWAITED + 3)]
    await stage.exchange(client)
    stage.catalog.declare([StreamRules(name="later")])
    await asyncio.sleep(0)

    assert told(client) == [one.number for one in asked[3:]]


async def test_a_number_that_means_another_subscription_by_now_is_not_told(stage: V1Stage) -> None:
    client = stage.connect()
    assert client.socket is not None
    assert client.socket.session is not None
    for stream in ("later", "chat"):
        asked = {"t": "sub", "sub": 7, "stream": stream, "group": "room"}
        client.socket.session.message(orjson.dumps(asked).decode())
        await asyncio.sleep(0)
    stage.catalog.declare([StreamRules(name="chat"), StreamRules(name="later")])
    assert told(client) == []


async def test_who_has_unsubscribed_is_not_told(stage: V1Stage) -> None:
    client = stage.connect()
    assert client.socket is not None
    assert client.socket.session is not None
    client.socket.session.message('{"t":"sub","sub":7,"stream":"later","group":"room"}')
    await asyncio.sleep(0)
    client.socket.session.message('{"t":"unsub","sub":7}')
    await asyncio.sleep(0)
    stage.catalog.declare([StreamRules(name="later")])
    assert told(client) == []


async def test_one_that_fails_to_hear_of_it_keeps_nobody_else_from_it(stage: V1Stage) -> None:
    def fails() -> None:
        raise RuntimeError("not now")

    heard: list[str] = []
    stage.catalog.when_declared("later", fails)
    stage.catalog.when_declared("later", lambda: heard.append("later"))
    stage.catalog.declare([StreamRules(name="later")])
    assert heard == ["later"]
