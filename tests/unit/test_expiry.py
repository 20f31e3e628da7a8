"""Items go when their time has come, and when newer ones push them out; each such delete has a version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Origin, Terms
from headwater.streams import expiry
from support.stream_store import turns
from support.v1_stage import ROOM, V1Stage


@pytest.fixture
async def stage() -> AsyncGenerator[V1Stage]:
    stage = V1Stage()
    yield stage
    await stage.close()


async def ids(stage: V1Stage, group: GroupKey = ROOM) -> list[str]:
    return [item.id for item in await stage.writer.get_group(*group)]


async def test_an_item_goes_when_its_time_has_come_and_not_before(stage: V1Stage) -> None:
    await stage.set("a", terms=Terms(ttl=10))
    stage.clock.time += 9.9
    await stage.durable.expiry.once()
    assert await ids(stage) == ["a"]

    stage.clock.time += 0.1
    await stage.durable.expiry.once()
    assert await ids(stage) == []


async def test_followers_see_it_go_as_any_delete(stage: V1Stage) -> None:
    await stage.set("a", terms=Terms(ttl=10))
    client = stage.connect()
    client.subscribe(ROOM, None, None)
    await stage.exchange(client)

    stage.clock.time += 10
    await stage.durable.expiry.once()
    await stage.exchange(client)

    assert client.subscriptions[0].state.items() == []
    assert client.subscriptions[0].state.version == 2


async def test_an_item_written_while_it_is_looked_for_lives_on(stage: V1Stage) -> None:
    await stage.set("a", n=1, terms=Terms(ttl=10))
    stage.clock.time += 10
    stage.store.holds.add("commit")
    writing = stage.writer.set(*ROOM, "a", b'{"n":2}', origin=Origin())
    await turns()
    going = asyncio.ensure_future(stage.durable.expiry.once())
    await turns()
    await stage.store.release()
    await writing
    await going

    assert await ids(stage) == ["a"]


async def test_a_set_without_a_ttl_lasts_and_an_update_keeps_the_time(stage: V1Stage) -> None:
    await stage.set("lasts", terms=Terms(ttl=10))
    await stage.set("lasts")
    await stage.set("goes", terms=Terms(ttl=10))
    await stage.writer.update(*ROOM, "goes", b'[{"type":"set","path":"n","value":1}]', origin=Origin())

    stage.clock.time += 10
    await stage.durable.expiry.once()

    assert await ids(stage) == ["lasts"]


async def test_what_is_written_when_it_is_to_go_lives_on_and_the_others_go(
    stage: V1Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        await stage.set(name, terms=Terms(ttl=10))
    stage.clock.time += 10
    look = stage.store.due

    async def look_and_be_late(**when: Any) -> Any:
        found = await look(**when)
        if found:
            await stage.set("b")
        return found

    monkeypatch.setattr(stage.store, "due", look_and_be_late)
    await stage.durable.expiry.once()

    assert await ids(stage) == ["b"]


async def test_what_came_due_while_no_server_ran_goes_before_serving(stage: V1Stage) -> None:
    await stage.set("a", terms=Terms(ttl=10))
    stage.clock.time += 1e6

    await expiry.Expiry(stage.catalog, stage.store, stage.durable.queue, stage.clock).settle()

    assert await ids(stage) == []


async def test_a_stream_keeps_its_newest(stage: V1Stage) -> None:
    stage.declare(keep_newest=3)
    for number in range(6):
        await stage.set(str(number))
    await stage.set("4", n=1)
    await stage.durable.expiry.once()

    assert await ids(stage) == ["3", "4", "5"]


async def test_a_stream_keeps_its_newest_however_large_they_are(
    stage: V1Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "PAGE_BYTES", 1000)
    monkeypatch.setattr(expiry, "AT_ONCE", 2)
    stage.declare(keep_newest=4)
    for number in range(11):
        await stage.set(str(number), text="x" * 900)
    await stage.durable.expiry.once()

    assert await ids(stage) == ["7", "8", "9", "10"]


async def test_what_a_stream_kept_before_it_was_told_to_is_trimmed_at_start(stage: V1Stage) -> None:
    for group in ("a", "b"):
        for number in range(4):
            await stage.set(str(number), GroupKey("chat", group))
    stage.declare(keep_newest=1)

    await stage.durable.expiry.settle()

    assert await ids(stage, GroupKey("chat", "a")) == await ids(stage, GroupKey("chat", "b")) == ["3"]


async def test_other_streams_keep_everything(stage: V1Stage) -> None:
    stage.declare(keep_newest=1)
    for number in range(3):
        await stage.set(str(number), GroupKey("news", "a"))
    await stage.durable.expiry.once()

    assert len(await ids(stage, GroupKey("news", "a"))) == 3


async def test_a_store_that_fails_is_asked_again_for_all_that_has_grown(stage: V1Stage) -> None:
    stage.declare(keep_newest=1)
    groups = [GroupKey("chat", name) for name in "abc"]
    for group in groups:
        for number in range(3):
            await stage.set(str(number), group)
    stage.store.faults["read"] = StoreUnavailable("The disk is gone.")
    with pytest.raises(StoreUnavailable):
        await stage.durable.expiry.once()
    del stage.store.faults["read"]

    await stage.durable.expiry.once()

    assert [await ids(stage, group) for group in groups] == [["2"]] * 3


async def test_many_go_at_once(stage: V1Stage) -> None:
    data = orjson.dumps({"g": list(ROOM)})
    writes = [
        stage.writer.set(*ROOM, str(number), data, terms=Terms(ttl=1), origin=Origin())
        for number in range(2500)
    ]
    for write in writes:
        await write
    stage.clock.time += 1
    await stage.durable.expiry.once()

    assert await ids(stage) == []
