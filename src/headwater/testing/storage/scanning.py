"""Checks of scanning a stream, as a process does that begins."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import GroupKey, Item
from headwater.storage.base import BEGINNING, ENTRY_BYTES
from headwater.testing.storage.names import ODD_NAMES, SURROGATE
from headwater.testing.storage.place import Check, Place, drop, put


async def scanned(place: Place, stream: str, limit_bytes: int) -> list[tuple[str, Item]]:
    """A whole scan, whose stretches must be as short as asked for."""
    found: list[tuple[str, Item]] = []
    cursor = BEGINNING
    while True:
        stretch = await (await place.store()).scan(stream, after=cursor, limit_bytes=limit_bytes)
        assert sum(ENTRY_BYTES + len(item.data) for _, item in stretch.items[:-1]) <= limit_bytes
        assert stretch.items or stretch.cursor is None
        found += stretch.items
        if stretch.cursor is None:
            return found
        cursor = stretch.cursor


async def a_stream_without_items_is_scanned_at_once(place: Place) -> None:
    await place.commit(put("a"), drop("a"), put("a", group=GroupKey("hall", "g")))
    assert await scanned(place, "room", 1000) == []
    assert await scanned(place, "never", 1000) == []
    assert await scanned(place, SURROGATE, 1000) == []


async def a_scan_finds_all_by_group_and_creation(place: Place) -> None:
    for number in range(300):
        await place.commit(put(f"i{number % 97}", b"x" * (number % 50), GroupKey("room", f"g{number % 11}")))
    await place.commit(*(drop(f"i{number}", GroupKey("room", "g3")) for number in range(0, 97, 3)))
    await place.commit(put("a", group=GroupKey("rooms", "g")), put("a", group=GroupKey("roo", "m")))
    expected: list[tuple[str, Item]] = []
    for name in sorted(f"g{number}" for number in range(11)):
        held = (await place.snapshot(GroupKey("room", name))).held
        expected += [(name, item) for item in sorted(held.values(), key=lambda item: item.created)]
    for limit_bytes in (1, 500, 1 << 20):
        assert await scanned(place, "room", limit_bytes) == expected


async def any_text_is_scanned(place: Place) -> None:
    await place.commit(*(put(name, group=GroupKey("s", name)) for name in ODD_NAMES))
    for limit_bytes in (1, 1 << 20):
        assert [name for name, _ in await scanned(place, "s", limit_bytes)] == sorted(ODD_NAMES)


async def items_that_nobody_touches_come_once_while_others_change(place: Place) -> None:
    kept = [GroupKey("work", f"g{number:03}") for number in range(40)]
    await place.commit(*(put(f"i{number}", group=key) for key in kept for number in range(3)))
    found: list[tuple[str, str]] = []
    cursor, turn = BEGINNING, 0
    while cursor is not None:
        stretch = await (await place.store()).scan("work", after=cursor, limit_bytes=300)
        found += [(name, item.id) for name, item in stretch.items]
        cursor, turn = stretch.cursor, turn + 1
        busy = GroupKey("work", f"g{turn:03}b")
        await place.commit(put("x", group=busy)._replace(history=False), drop("x", busy))
        await place.commit(put("y", group=kept[turn % 40]), drop("y", kept[turn % 40]))
    found = [one for one in found if one[1] not in "xy"]
    assert found == [(key.group, f"i{number}") for key in kept for number in range(3)]


CHECKS: tuple[Check, ...] = (
    a_stream_without_items_is_scanned_at_once,
    a_scan_finds_all_by_group_and_creation,
    any_text_is_scanned,
    items_that_nobody_touches_come_once_while_others_change,
)
