"""Subscriptions of one socket to one group share their live frames, and must not be misled by them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.model import GroupKey, Origin
from support.stream_store import turns
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage

NOBODY = Origin()


@pytest.fixture
async def stage() -> AsyncGenerator[V1Stage]:
    stage = V1Stage()
    yield stage
    await stage.close()


def held(client: JudgedClient, number: int) -> list[Any]:
    """The members `n` of what the client's subscription holds."""
    return [item.get("n") for item in client.subscriptions[number].state.items()]


def waiting(client: JudgedClient) -> list[str]:
    """The types of the messages that the client has not read."""
    assert client.socket is not None
    return [orjson.loads(payload)["t"] for payload in client.socket.waiting]


async def test_a_window_and_an_item_get_a_batch_in_order(stage: V1Stage) -> None:
    await stage.set("x", n=1)
    await stage.set("y", n=1)
    client = stage.connect()
    client.subscribe(ROOM, None, 2)
    client.subscribe(ROOM, "y", None)
    await stage.exchange(client)

    stage.store.holds.add("commit")
    for item in ("x", "y"):
        stage.writer.set(*ROOM, item, orjson.dumps({"g": list(ROOM), "n": 2}), origin=NOBODY)
    await turns()
    await stage.store.release()
    await stage.exchange(client)

    assert held(client, 0) == [2, 2]
    assert held(client, 1) == [2]


async def test_two_windows_are_sent_each_frame_once(stage: V1Stage) -> None:
    client = stage.connect()
    client.subscribe(ROOM, None, 1)
    client.subscribe(ROOM, None, 5)
    await stage.exchange(client)

    await stage.set("x", n=1)

    assert waiting(client) == ["set"]


@pytest.mark.parametrize("other", [("y", None), (None, 5)])
async def test_a_group_that_missed_a_change_is_not_moved_on_by_a_sibling(
    stage: V1Stage, other: tuple[str | None, int | None]
) -> None:
    """The socket is full, drains, and a change comes before the group has caught up."""
    client = stage.connect(high_water=1000)
    client.subscribe(ROOM, None, None)
    client.subscribe(ROOM, *other)
    await stage.exchange(client)
    await stage.set("x", text="x" * 2000)
    await stage.set("x", n=2)  # Not taken: the group is behind.

    stage.store.holds.add("commit")
    stage.writer.set(*ROOM, "y", orjson.dumps({"g": list(ROOM), "n": 3}), origin=NOBODY)
    await turns()
    await stage.store.waiting("commit")[0].finish()
    client.read()  # The socket drains, while the change of y is on its way.
    for _ in range(20):
        await turns(1)
        client.read()  # Each state that is published is judged.

    assert held(client, 0) == [2, 3]


async def test_a_sibling_that_caught_up_first_tells_of_those_behind(stage: V1Stage) -> None:
    """What was lost and cannot be told change by change sets all of a socket behind; the first to come back
    must not move on the others."""
    client = stage.connect()
    client.subscribe(ROOM, "x", None)
    client.subscribe(ROOM, None, None)
    await stage.exchange(client)
    await stage.set("x", n=1)
    publish: Any = stage.durable.hub.publish
    stage.durable.hub.publish = lambda _published: None  # pyright: ignore[reportAttributeAccessIssue]
    await stage.set("x", n=2)
    await stage.set("y", n=3)
    stage.durable.hub.publish = publish
    stage.store.holds.add("read")
    await stage.set("x", n=4)
    (of_the_feed,) = stage.store.waiting("read")
    await of_the_feed.finish()
    await turns()
    reads = stage.store.waiting("read")
    assert len(reads) == 2

    await reads[1].finish()
    client.read()
    stage.store.holds.clear()
    stage.writer.update(*ROOM, "x", b'[{"type":"set","path":"m","value":1}]', origin=NOBODY)
    await turns()
    client.read()
    await stage.store.release()
    await stage.exchange(client)

    assert held(client, 0) == [4]
    assert held(client, 1) == [4, 3]


async def test_who_asks_for_older_items_does_not_miss_what_comes_meanwhile(stage: V1Stage) -> None:
    for number in range(5):
        await stage.set(str(number), n=number)
    client = stage.connect()
    window = client.subscribe(ROOM, None, 2)
    client.subscribe(ROOM, "4", None)
    await stage.exchange(client)

    stage.store.holds.add("read")
    client.more(window, 2)
    await turns()
    await stage.set("3", n=30)
    await stage.set("4", n=40)
    client.read()
    await stage.store.release()
    await stage.exchange(client)

    assert held(client, 0) == [1, 2, 30, 40]
    assert held(client, 1) == [40]


async def test_streams_and_their_presences_have_feeds_of_different_numbers(stage: V1Stage) -> None:
    client = stage.connect()
    client.subscribe(ROOM, None, None)
    client.subscribe(GroupKey("chat.presence", "room"), None, None)
    await stage.exchange(client)

    first, second = (one.feed for one in client.subscriptions)

    assert first != second
