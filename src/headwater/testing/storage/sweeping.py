"""Checks of ageing: tombstones that go, floors that rise, groups that are forgotten, the base."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import Change, GroupKey, Head
from headwater.storage.base import Repeated
from headwater.testing.storage.place import Check, G, Place, drop, put

AGE = 60.0
"""Seconds for which these checks keep deletes."""

TEN_DAYS = 10 * 86_400.0

X, Y = GroupKey("room", "x"), GroupKey("room", "y")


async def sweep(place: Place, after_seconds: float, limit: int = 1000) -> int:
    """Sweep some time after the last commit."""
    now = place.stamp / 1000.0 + after_seconds
    return await (await place.store()).sweep(now=now, tombstone_age=AGE, limit=limit)


async def young_tombstones_stay(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"))
    assert await sweep(place, AGE - 1) == 0
    page = await place.read(2)
    assert (len(page.tombstones), page.head) == (1, Head(3, 0))


async def old_tombstones_go_and_the_floor_rises(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"), put("c"))
    assert await sweep(place, AGE + 1) == 1
    page = await place.read(3)
    assert (page.tombstones, page.head) == ([], Head(4, 3))
    assert set((await place.snapshot()).held) == {"b", "c"}
    assert await sweep(place, AGE + 1) == 0


async def only_the_old_ones_go(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), drop("a"))
    first = place.stamp
    for _ in range(50):
        await place.commit(put("c"))
    await place.commit(drop("b"))
    store = await place.store()
    assert await store.sweep(now=first / 1000.0 + AGE + 0.01, tombstone_age=AGE) == 1
    page = await place.read(4)
    assert [gone.id for gone in page.tombstones] == ["b"]
    assert page.head.floor == 4


async def a_full_limit_means_call_again(place: Place) -> None:
    await place.commit(put("keep"), *(put(f"i{number}") for number in range(25)))
    await place.commit(*(drop(f"i{number}") for number in range(25)))
    assert [await sweep(place, AGE + 1, limit=10) for _ in range(4)] == [10, 10, 5, 0]
    assert (await place.read(0)).head == Head(51, 51)


async def a_sweep_takes_no_item_that_was_set_again(place: Place) -> None:
    await place.commit(put("a"), drop("a"), put("a", b"2"))
    await sweep(place, AGE + 1)
    assert set((await place.snapshot()).held) == {"a"}
    assert (await place.change(put("a"))).version == 4


async def a_later_tombstone_of_the_same_id_stays(place: Place) -> None:
    await place.commit(put("keep"), put("a"), drop("a"))
    first = place.stamp
    for _ in range(50):
        await place.commit(put("keep"))
    await place.commit(put("a"), drop("a"))
    store = await place.store()
    assert await store.sweep(now=first / 1000.0 + AGE + 0.01, tombstone_age=AGE) == 1
    page = await place.read(3)
    assert [(gone.id, gone.version) for gone in page.tombstones] == [("a", 55)]


async def a_group_with_tombstones_is_not_forgotten(place: Place) -> None:
    await place.commit(put("a", group=X), drop("a", X))
    await sweep(place, AGE - 1)
    assert (await place.read(0, X)).head == Head(2, 0)
    assert (await place.change(put("a", group=X))).version == 3


async def a_forgotten_group_raises_the_base(place: Place) -> None:
    await place.commit(put("a", group=X), put("a", group=X), drop("a", X), put("a", group=Y))
    assert await sweep(place, AGE + 1) == 1
    store = await place.store()
    x, y, unknown = await store.heads([X, Y, GroupKey("room", "new")])
    assert x == unknown
    assert x.version >= 3
    assert x.floor == x.version
    assert y == Head(1, 0), "a group that holds something keeps its own count"


async def no_version_is_used_twice(place: Place) -> None:
    used: set[tuple[GroupKey, int]] = set()
    for _ in range(4):
        for key in (X, Y):
            for write in (put("a", group=key), put("b", group=key), drop("a", key), drop("b", key)):
                change = await place.change(write)
                assert (key, change.version) not in used
                used.add((key, change.version))
        await place.change(put(f"more{len(used)}", group=Y))
        await sweep(place, AGE + 1)


async def a_group_known_anew_begins_at_the_base(place: Place) -> None:
    await place.commit(*(put("a", group=X) for _ in range(9)), drop("a", X))
    await sweep(place, AGE + 1)
    store = await place.store()
    (head,) = await store.heads([Y])
    outcomes = await place.commit(put("a", group=Y), put("b", group=Y))
    versions = [outcome.version for outcome in outcomes if isinstance(outcome, Change)]
    assert versions == [head.version + 1, head.version + 2]
    page = await place.read(head.version, Y)
    assert len(page.items) == 2
    assert page.head == Head(head.version + 2, head.version)
    assert len((await place.read(0, Y)).items) == 2


async def a_forgotten_group_is_not_listed(place: Place) -> None:
    await place.commit(put("a", group=X), drop("a", X), put("a", group=Y))
    store = await place.store()
    assert [info.group for info in await store.groups("room")] == ["y"]
    await sweep(place, AGE + 1)
    assert [info.group for info in await store.groups("room")] == ["y"]
    await place.commit(put("a", group=X))
    assert [info.group for info in await store.groups("room")] == ["x", "y"]


async def a_sweep_of_nothing_does_nothing(place: Place) -> None:
    assert await sweep(place, AGE + 1) == 0
    await place.commit(put("a"))
    assert await sweep(place, AGE + 1) == 0
    assert (await place.read(0)).head == Head(1, 0)
    assert set((await place.snapshot(G)).held) == {"a"}


async def deletes_of_a_clock_that_was_set_back_age_from_then_on(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), drop("a"))
    before = place.stamp / 1000.0
    place.pass_time(TEN_DAYS)
    await place.commit(drop("b"))
    store = await place.store()
    assert await store.sweep(now=before + AGE / 2, tombstone_age=AGE) == 0
    assert await store.sweep(now=before + AGE + 1, tombstone_age=AGE) == 1
    page = await place.read(4)
    assert ([gone.id for gone in page.tombstones], page.head) == (["b"], Head(5, 4))
    assert await store.sweep(now=before + AGE / 2 + AGE + 1, tombstone_age=AGE) == 1
    assert (await place.read(5)).head == Head(5, 5)


async def keys_of_a_clock_that_was_set_back_age_from_then_on(place: Place) -> None:
    before = place.stamp / 1000.0
    place.pass_time(TEN_DAYS)
    await place.commit(put("a")._replace(key="once"))
    (again,) = await place.commit(put("a")._replace(key="once"))
    assert isinstance(again, Repeated)
    store = await place.store()
    assert await store.sweep(now=before, tombstone_age=AGE) == 0
    assert await store.sweep(now=before + AGE + 1, tombstone_age=AGE) == 1
    (anew,) = await place.commit(put("a")._replace(key="once"))
    assert isinstance(anew, Change)


CHECKS: tuple[Check, ...] = (
    deletes_of_a_clock_that_was_set_back_age_from_then_on,
    keys_of_a_clock_that_was_set_back_age_from_then_on,
    young_tombstones_stay,
    old_tombstones_go_and_the_floor_rises,
    only_the_old_ones_go,
    a_full_limit_means_call_again,
    a_sweep_takes_no_item_that_was_set_again,
    a_later_tombstone_of_the_same_id_stays,
    a_group_with_tombstones_is_not_forgotten,
    a_forgotten_group_raises_the_base,
    no_version_is_used_twice,
    a_group_known_anew_begins_at_the_base,
    a_forgotten_group_is_not_listed,
    a_sweep_of_nothing_does_nothing,
)
