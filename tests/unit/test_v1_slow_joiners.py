"""Who reads slowly takes a snapshot in several catch-ups, and gets to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from headwater.config import StreamSettings
from headwater.streams.fanout import catchup
from support.stream_store import turns
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage

ITEMS = 40


@pytest.fixture
async def stage() -> AsyncGenerator[V1Stage]:
    """A group of many pages. Halfway an item was deleted, which is still remembered."""
    stage = V1Stage(streams=StreamSettings(page_bytes=1000))
    for number in range(ITEMS):
        await stage.set(str(number), text="x" * 200)
        if number == ITEMS // 2:
            await stage.set("gone")
            await stage.delete("gone")
    yield stage
    await stage.close()


async def forget_deletes(stage: V1Stage) -> None:
    while await stage.store.sweep(now=1e13, tombstone_age=0):
        pass


async def read(client: JudgedClient, frames: int) -> None:
    for _ in range(frames):
        await turns()
        client.read(1)


async def test_they_begin_below_the_deletes_that_were_forgotten(stage: V1Stage) -> None:
    await forget_deletes(stage)
    client = stage.connect(high_water=500)
    one = client.subscribe(ROOM, None, None)

    await read(client, 30)

    assert one.state.live
    assert len(one.state.held) == ITEMS
    assert client.resets == {}


async def test_deletes_made_before_they_began_may_be_forgotten_meanwhile(stage: V1Stage) -> None:
    client = stage.connect(high_water=500)
    one = client.subscribe(ROOM, None, None)
    await read(client, 3)
    await forget_deletes(stage)

    await read(client, 30)

    assert one.state.live
    assert client.resets == {}


async def test_deletes_made_since_and_forgotten_start_them_over(stage: V1Stage) -> None:
    client = stage.connect(high_water=500)
    one = client.subscribe(ROOM, None, None)
    await read(client, 3)
    await stage.delete("1")
    await forget_deletes(stage)

    await read(client, 40)

    assert client.resets == {one: ["expired"]}
    assert one.state.live
    assert len(one.state.held) == ITEMS - 1


async def test_they_are_not_told_of_a_state_that_the_group_was_never_in(stage: V1Stage) -> None:
    """The store was read ahead of what was published: an item that was written anew there is in no page below
    its new version, and the others may not be taken for the whole."""
    await stage.set("1", text="x" * 1500)  # It ends a page.
    follower = stage.connect()
    follower.subscribe(ROOM, None, None)
    await stage.exchange(follower)
    stage.store.holds.add("commit")
    writing = asyncio.ensure_future(stage.set("0", text="new"))
    await turns()
    (call,) = stage.store.waiting("commit")
    await call.perform()
    client = stage.connect(high_water=500)
    one = client.subscribe(ROOM, None, None)

    await read(client, 40)
    assert not one.state.live
    await stage.store.release()
    await writing
    await read(client, 5)

    assert one.state.live
    assert len(one.state.held) == ITEMS


async def test_a_notice_that_is_lost_does_not_hold_them_up_for_ever(
    stage: V1Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catchup, "AHEAD_SECONDS", 0.01)
    client = stage.connect(high_water=500)
    one = client.subscribe(ROOM, None, None)
    follower = stage.connect()
    other = follower.subscribe(ROOM, None, None)
    await stage.exchange(follower)
    publish = stage.durable.hub.publish
    stage.durable.hub.publish = lambda _: None  # type: ignore[method-assign]
    await stage.set("0", text="new")
    stage.durable.hub.publish = publish  # type: ignore[method-assign]

    async with asyncio.timeout(60):
        while not (one.state.live and other.state.version == one.state.version):
            await asyncio.sleep(0.001)
            client.read(1)
            follower.read()

    assert one.state.held["0"].data["text"] == "new"
    assert one.state.held == other.state.held
