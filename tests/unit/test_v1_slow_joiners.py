"""Who reads slowly takes a snapshot in several catch-ups, and gets to its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from headwater.config import StreamSettings
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
