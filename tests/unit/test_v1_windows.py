"""Windows: the newest items of a group, and older ones from there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.config import StreamSettings
from headwater.model import Origin
from support.stream_store import turns
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage


@pytest.fixture
async def stage() -> AsyncGenerator[V1Stage]:
    stage = V1Stage()
    for number in range(6):
        await stage.set(str(number), n=number)
    yield stage
    await stage.close()


async def window(stage: V1Stage, limit: int) -> JudgedClient:
    client = stage.connect()
    client.subscribe(ROOM, None, limit)
    await stage.exchange(client)
    return client


def ids(client: JudgedClient) -> list[str]:
    return [item["id"] for item in client.subscriptions[0].state.items()]


async def test_it_holds_the_newest(stage: V1Stage) -> None:
    client = await window(stage, 2)

    assert ids(client) == ["4", "5"]
    assert client.subscriptions[0].state.floor == 5


async def test_it_grows_by_what_is_older_until_nothing_is(stage: V1Stage) -> None:
    client = await window(stage, 2)
    for expected in (["2", "3", "4", "5"], ["0", "1", "2", "3", "4", "5"]):
        client.more(client.subscriptions[0], 2)
        await stage.exchange(client)
        assert ids(client) == expected
    assert client.subscriptions[0].state.floor == 0


async def test_changes_below_its_floor_are_not_sent(stage: V1Stage) -> None:
    client = await window(stage, 2)
    await stage.set("0", n=10)
    assert client.socket is not None
    assert client.socket.waiting == []


async def test_it_grows_only_with_what_its_cursor_has_reached(stage: V1Stage) -> None:
    """Older items are read while a commit can be read that has not been told of yet."""
    client = await window(stage, 2)
    stage.store.holds.add("commit")
    stage.writer.set(*ROOM, "1", orjson.dumps({"g": list(ROOM), "n": 11}), origin=Origin())
    await turns()
    (commit,) = stage.store.waiting("commit")
    await commit.perform()

    client.more(client.subscriptions[0], 4)
    await stage.exchange(client)
    assert ids(client) == ["4", "5"]

    await commit.finish()
    await stage.exchange(client)
    assert ids(client) == ["0", "1", "2", "3", "4", "5"]
    assert client.subscriptions[0].state.version == 7


async def test_it_resumes_as_wide_as_it_was(stage: V1Stage) -> None:
    client = await window(stage, 2)
    client.more(client.subscriptions[0], 2)
    await stage.exchange(client)
    client.disconnect()
    await stage.set("6")
    await stage.set("0", n=10)
    await stage.delete("4")

    client.connect()
    await stage.exchange(client)

    assert ids(client) == ["2", "3", "5", "6"]
    assert client.resets == {}


async def test_asked_for_while_it_opens_it_grows_afterwards(stage: V1Stage) -> None:
    client = stage.connect()
    one = client.subscribe(ROOM, None, 2)
    client.more(one, 2)
    await stage.exchange(client)

    assert ids(client) in (["4", "5"], ["2", "3", "4", "5"])
    assert one.state.live


async def test_more_of_what_is_no_window_is_refused(stage: V1Stage) -> None:
    client = stage.connect()
    one = client.subscribe(ROOM, None, None)
    client.store.outbox.append('{"t":"more","sub":1,"limit":2}')
    client.talk()
    await stage.exchange(client)

    assert [error["code"] for error in client.errors] == ["INVALID_INPUT"]
    assert one.state.live


async def test_it_comes_in_pages_where_its_items_are_large() -> None:
    stage = V1Stage(streams=StreamSettings(page_bytes=2000))
    for number in range(20):
        await stage.set(str(number), text="x" * 900)
    client = await window(stage, 10)
    one = client.subscriptions[0]
    assert ids(client) == [str(number) for number in range(10, 20)]
    client.more(one, 7)
    await stage.exchange(client)
    assert ids(client) == [str(number) for number in range(3, 20)]
    await stage.close()


async def test_who_reads_slowly_gets_all_of_a_large_one() -> None:
    stage = V1Stage(streams=StreamSettings(page_bytes=2000))
    for number in range(20):
        await stage.set(str(number), text="x" * 900)
    client = stage.connect(high_water=500)
    one = client.subscribe(ROOM, None, 10)
    for _ in range(40):
        await turns()
        client.read(1)
    assert (one.state.live, ids(client)) == (True, [str(number) for number in range(10, 20)])
    assert one.state.floor == 11
    await stage.close()


async def test_it_grows_by_so_many_items_at_once_as_often_as_it_takes() -> None:
    stage = V1Stage(streams=StreamSettings(max_window=2))
    for number in range(6):
        await stage.set(str(number), n=number)
    client = stage.connect()
    one = client.subscribe(ROOM, None, 5)
    sizes: list[int] = []
    while len(ids(client)) < 5:
        await turns()
        client.read(1)
        if one.state.live:
            sizes.append(len(ids(client)))
    assert sorted(set(sizes)) == [2, 4, 5]
    await stage.close()


async def test_it_keeps_its_size_when_items_come_and_go(stage: V1Stage) -> None:
    client = await window(stage, 3)
    for number in range(6, 20):
        await stage.set(str(number), n=number)
        await stage.exchange(client)
    assert ids(client) == ["17", "18", "19"]

    for number in (19, 17, 4):
        await stage.delete(str(number))
        await stage.exchange(client)
    assert ids(client) == ["15", "16", "18"]

    client.more(client.subscriptions[0], 2)
    await stage.exchange(client)
    assert ids(client) == ["13", "14", "15", "16", "18"]
    assert client.resets == {}


async def test_what_it_has_dropped_comes_back_after_a_reconnect(stage: V1Stage) -> None:
    client = await window(stage, 2)
    await stage.set("6", n=6)
    await stage.exchange(client)
    client.disconnect()
    await stage.delete("5")
    await stage.set("4", n=44)
    client.connect()
    await stage.exchange(client)

    assert ids(client) == ["4", "6"]
    assert client.resets == {}


async def test_it_knows_when_the_last_item_below_it_is_gone(stage: V1Stage) -> None:
    client = await window(stage, 3)
    state = client.subscriptions[0].state
    for number in (0, 1):
        await stage.delete(str(number))
        await stage.exchange(client)
        assert state.floor == 4
    await stage.delete("2")
    await stage.exchange(client)

    assert (state.floor, ids(client)) == (0, ["3", "4", "5"])


async def test_a_smaller_group_has_nothing_below(stage: V1Stage) -> None:
    client = await window(stage, 6)
    assert client.subscriptions[0].state.floor == 0
    await stage.set("6")
    await stage.exchange(client)

    assert (client.subscriptions[0].state.floor, len(ids(client))) == (2, 6)


@pytest.mark.parametrize("cursor", [{}, {"from": {"epoch": "other", "v": 3}}])
async def test_a_floor_without_what_is_above_it_counts_for_nothing(
    stage: V1Stage, cursor: dict[str, Any]
) -> None:
    client = stage.connect()
    one = client.store.subscribe(*ROOM, limit=3)
    client.subscriptions.append(one)
    asked = orjson.loads(client.store.outbox.pop()) | {"floor": 6} | cursor
    client.store.outbox.append(orjson.dumps(asked).decode())
    client.talk()
    await stage.exchange(client)
    assert ids(client) == ["3", "4", "5"]
