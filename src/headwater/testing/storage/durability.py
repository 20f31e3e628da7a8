"""Checks of what a durable store still knows when it was closed and opened again."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import GroupKey, Item
from headwater.storage.base import Repeated
from headwater.testing.storage.no_history import OTHER, WORK, done, job
from headwater.testing.storage.outbox import asked, entries
from headwater.testing.storage.place import Check, G, Place, drop, put
from headwater.testing.storage.sweeping import AGE, X, Y, sweep


async def everything_is_there_after_reopening(place: Place) -> None:
    await place.commit(put("a"), put("b", b"2"), drop("a"), put("c"), put("b", b"3"))
    store = await place.store()
    before = (await place.snapshot(), await place.read(2), await store.heads([G]), await store.groups("room"))
    await place.close()
    store = await place.store()
    after = (await place.snapshot(), await place.read(2), await store.heads([G]), await store.groups("room"))
    assert after == before


async def versions_go_on_after_reopening(place: Place) -> None:
    for version in range(1, 8):
        assert (await place.change(put(f"i{version % 3}"))).version == version
        await place.close()
    assert (await place.snapshot()).order() == ["i1", "i2", "i0"]


async def a_reader_catches_up_across_a_restart(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"))
    held: dict[str, Item] = {}
    cursor = await place.held_after(0, held)
    await place.commit(drop("a"))
    await place.close()
    await place.commit(put("b", b"2"), drop("c"), put("d"))
    await place.close()
    await place.held_after(cursor, held)
    assert held == (await place.snapshot()).held
    assert set(held) == {"b", "d"}


async def a_clean_close_keeps_the_epoch(place: Place) -> None:
    epoch = (await place.store()).epoch
    assert epoch
    await place.commit(put("a"))
    await place.close()
    assert (await place.store()).epoch == epoch


async def a_stamp_is_kept_without_writes(place: Place) -> None:
    await place.change(put("a"))
    assert await place.commit() == []
    await place.close()
    assert (await place.store()).stamp == place.stamp
    await place.change(put("a"))
    await place.close()
    assert (await place.store()).stamp == place.stamp


async def the_highest_stamp_is_kept(place: Place) -> None:
    assert (await place.store()).stamp == 0.0
    await place.commit(put("a"))
    await place.commit(put("a", group=GroupKey("hall", "other")))
    await place.close()
    assert (await place.store()).stamp == place.stamp


async def the_base_and_the_floors_are_kept(place: Place) -> None:
    await place.commit(put("a", group=X), drop("a", X), put("a", group=Y), put("b", group=Y), drop("a", Y))
    await sweep(place, AGE + 1)
    keys = [X, Y, GroupKey("room", "new")]
    before = await (await place.store()).heads(keys)
    await place.close()
    assert await (await place.store()).heads(keys) == before
    assert (await place.change(put("a", group=X))).version == before[0].version + 1


async def tombstones_age_across_a_restart(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"))
    await place.close()
    assert await sweep(place, AGE + 1) == 1
    await place.close()
    page = await place.read(3)
    assert (page.tombstones, page.head.floor) == ([], 3)


async def many_groups_are_kept(place: Place) -> None:
    keys = [GroupKey("room", f"g{number}") for number in range(3000)]
    await place.commit(*(put("a", group=key) for key in keys))
    await place.commit(*(put("a", group=key) for key in keys[::3]))
    before = await (await place.store()).heads(keys)
    await place.close()
    assert await (await place.store()).heads(keys) == before
    assert [head.version for head in before] == [2 if number % 3 == 0 else 1 for number in range(3000)]


async def what_has_no_history_is_kept(place: Place) -> None:
    await place.commit(*(job("a") for _ in range(4)), done("a"), job("b", group=OTHER), put("a"))
    await place.commit(job("c")._replace(key="k"), done("c"))
    keys = [WORK, OTHER, G, GroupKey("room", "new")]
    before = await (await place.store()).heads(keys)
    await place.close()
    assert (await place.store()).stamp == place.stamp
    assert await (await place.store()).heads(keys) == before
    (again,) = await place.commit(job("c")._replace(key="k"))
    assert isinstance(again, Repeated)
    assert (await place.change(job("d"))).version == before[0].version + 1
    assert (await place.change(job("b", group=OTHER))).kind == "update"


async def units_keys_and_entries_are_kept(place: Place) -> None:
    first = await place.unit(asked(put("a", b"1")), drop("zz"), key="k")
    before = await entries(place)
    await place.close()
    assert await entries(place) == before
    again = await place.unit(put("a"), key="k")
    assert again.repeated
    assert [change and change.version for change in again.changes] == [1, None]
    assert first.changes[0] == again.changes[0]
    await place.unit(settles=[entry.id for entry in before])
    await place.close()
    assert await entries(place) == []
    await place.commit(asked(put("b")))
    assert min(entry.id for entry in await entries(place)) > max(entry.id for entry in before)


CHECKS: tuple[Check, ...] = (
    everything_is_there_after_reopening,
    versions_go_on_after_reopening,
    a_reader_catches_up_across_a_restart,
    a_clean_close_keeps_the_epoch,
    the_highest_stamp_is_kept,
    a_stamp_is_kept_without_writes,
    the_base_and_the_floors_are_kept,
    tombstones_age_across_a_restart,
    many_groups_are_kept,
    what_has_no_history_is_kept,
    units_keys_and_entries_are_kept,
)
