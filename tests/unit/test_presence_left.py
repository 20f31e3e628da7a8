"""Presences that have left are remembered for those who resume, up to a bound over all groups."""

from __future__ import annotations

from headwater.model import GroupKey, Write
from headwater.storage.memory import MemoryStore

ROOMS = [GroupKey("chat.presence", f"room{n}") for n in range(5)]


async def test_the_oldest_that_left_are_forgotten_above_the_bound() -> None:
    told: list[int] = []
    store = MemoryStore(10, lambda: told.append(1))
    for visit in range(6):
        for room in ROOMS[:2]:
            await store.commit([Write(room, f"p{visit}", "set", b'{"id":"p"}')], stamp=0.0)
            await store.commit([Write(room, f"p{visit}", "delete")], stamp=0.0)
    assert len(told) == 2
    pages = [await store.read(room, after=2, limit_bytes=1000) for room in ROOMS[:2]]
    assert [[gone.id for gone in page.tombstones] for page in pages] == [[f"p{n}" for n in range(1, 6)]] * 2
    assert [page.head.floor for page in pages] == [2, 2]


async def test_groups_that_everybody_left_long_ago_leave_nothing() -> None:
    store = MemoryStore(2)
    for room in ROOMS:
        await store.commit([Write(room, "p", "set", b'{"id":"p"}')], stamp=0.0)
        await store.commit([Write(room, "p", "delete")], stamp=0.0)
    named = [info.group for info in await store.groups("chat.presence", limit=100)]
    assert len(named) <= 2
