"""What feeds, commits and sockets tell: why a subscription has to catch up, and each limit that is met."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from headwater.config import SocketSettings, StorageSettings, StreamSettings
from headwater.errors import HeadwaterError
from headwater.model import Change, Unit, Write
from headwater.server.live.keepalive import look
from support.ear import Ear
from support.stream_store import turns
from support.v1_client import JudgedClient
from support.v1_stage import ROOM, V1Stage


@asynccontextmanager
async def staged(
    *,
    streams: StreamSettings | None = None,
    storage: StorageSettings | None = None,
    socket: SocketSettings | None = None,
) -> AsyncGenerator[tuple[V1Stage, Ear]]:
    ear = Ear()
    stage = V1Stage(streams=streams, storage=storage, socket=socket, observer=ear)
    yield stage, ear
    await stage.close()


async def following(stage: V1Stage, limit: int | None = None, high_water: int = 1_000_000) -> JudgedClient:
    client = stage.connect(high_water)
    client.subscribe(ROOM, None, limit)
    await stage.exchange(client)
    return client


def reasons(ear: Ear) -> list[str]:
    return [why for _, why in ear.of("behind")]


# Why a subscription has to catch up.


async def test_a_client_that_does_not_read_is_behind_as_full_and_live_again_later() -> None:
    async with staged() as (stage, ear):
        client = await following(stage, high_water=500)
        for number in range(3):
            await stage.set("a", n=number, text="x" * 400)
        assert reasons(ear) == ["join", "full"]
        await stage.exchange(client)
        assert ear.of("live") == [(ROOM,), (ROOM,)]


async def test_a_window_that_grows_is_behind_as_asked() -> None:
    async with staged() as (stage, ear):
        for item in "abc":
            await stage.set(item)
        client = await following(stage, limit=1)
        client.more(client.subscriptions[0], 1)
        await stage.exchange(client)
        assert reasons(ear) == ["join", "asked"]


async def test_what_shares_frames_with_one_that_is_full_is_behind_as_a_sibling() -> None:
    async with staged() as (stage, ear):
        client = await following(stage, limit=5, high_water=500)
        client.subscribe(ROOM, None, 1)
        await stage.exchange(client)
        for number in range(3):
            await stage.set("a", n=number, text="x" * 400)
        assert sorted(reasons(ear)) == ["full", "join", "join", "sibling"]


async def test_a_feed_that_begins_anew_sets_everyone_behind_as_a_gap() -> None:
    async with staged() as (stage, ear):
        await stage.set("a")
        await following(stage)
        # Of what another process did, one notice came; what the store says of it cannot be told in steps.
        for write in (Write(ROOM, "a", "set", b"{}"), Write(ROOM, "b", "set", b"{}")) * 2:
            await stage.store.inner.commit([write], stamp=0.0)
        stage.durable.hub.publish([Change(ROOM, "b", "update", 5, 3, b"{}")])
        await turns(50)
        assert reasons(ear) == ["join", "gap"]
        assert ear.of("live") == [(ROOM,), (ROOM,)]


# Limits.


async def write_much(stage: V1Stage) -> None:
    await following(stage)
    for item in "abc":
        await stage.set(item, text="x" * 400)


async def follow_much(stage: V1Stage) -> None:
    await following(stage, limit=3)


async def extend_much(stage: V1Stage) -> None:
    for item in "abcd":
        await stage.set(item)
    client = await following(stage, limit=1)
    client.more(client.subscriptions[0], 3)
    await stage.exchange(client)


async def commit_much(stage: V1Stage) -> None:
    unit = Unit(tuple(Write(ROOM, item, "set", b"x" * 300) for item in "abc"))
    with pytest.raises(HeadwaterError):
        await stage.durable.queue.add_unit(unit)


async def commit_more_than_waits(stage: V1Stage) -> None:
    waiting = stage.durable.queue.add(Write(ROOM, "a", "set", b"{}"))
    with pytest.raises(HeadwaterError):
        await stage.durable.queue.add(Write(ROOM, "b", "set", b"{}"))
    await waiting


async def be_present_with_much(stage: V1Stage) -> None:
    client = stage.connect()
    assert client.socket is not None
    said = {"t": "sub", "sub": 1, "stream": "chat", "group": "room", "state": {"text": "x" * 100}}
    client.socket.session.message(orjson.dumps(said).decode())


LIMITS: dict[str, tuple[dict[str, object], Callable[[V1Stage], object]]] = {
    "streams.rings_bytes": ({"streams": StreamSettings(rings_bytes=1000)}, write_much),
    "streams.max_window": ({"streams": StreamSettings(max_window=2)}, follow_much),
    "streams.max_window, extended": ({"streams": StreamSettings(max_window=2)}, extend_much),
    "storage.max_unit_writes": ({"storage": StorageSettings(max_unit_writes=2)}, commit_much),
    "storage.max_unit_bytes": ({"storage": StorageSettings(max_unit_bytes=800)}, commit_much),
    "storage.max_pending_bytes": (
        {"storage": StorageSettings(max_pending_bytes=100)},
        commit_more_than_waits,
    ),
    "socket.max_state_bytes": ({"socket": SocketSettings(max_state_bytes=50)}, be_present_with_much),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_limit_of_streams_that_is_met_is_told_once(limit: str) -> None:
    settings, meet = LIMITS[limit]
    async with staged(**settings) as (stage, ear):  # type: ignore[arg-type]
        await meet(stage)  # type: ignore[misc]
        await turns(20)
        assert ear.limits() == [limit.partition(",")[0]]


class Still:
    """A socket that says nothing."""

    heard = 0.0

    def __init__(self, *, pinged: float | None = None, full_since: float | None = None) -> None:
        self.pinged, self.full_since = pinged, full_since

    def ping(self, now: float) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def abort(self) -> None: ...


def test_a_socket_that_is_let_go_tells_the_time_that_it_had() -> None:
    ear, settings = Ear(), SocketSettings(ping_timeout=10, stall_timeout=120)
    look(Still(pinged=1.0), 20.0, settings, ear)
    look(Still(full_since=1.0), 122.0, settings, ear)
    assert ear.of("limited") == [("socket.ping_timeout", 10), ("socket.stall_timeout", 120)]
