"""Checks of reading what is there now: single items, snapshots, listings, heads."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

import asyncio

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Head, Item
from headwater.storage.base import GroupInfo
from headwater.testing.storage.place import Check, G, Place, drop, put

UNKNOWN = GroupKey("room", "never written")


async def an_item_is_found_with_its_versions(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("a", b'{"n":2}'))
    store = await place.store()
    assert await store.get(G, "a") == Item("a", b'{"n":2}', 3, 1)
    assert await store.get(G, "zz") is None
    assert await store.get(UNKNOWN, "a") is None


async def a_deleted_item_is_not_found(place: Place) -> None:
    await place.commit(put("a"), drop("a"))
    assert await (await place.store()).get(G, "a") is None


async def a_commit_is_seen_by_the_reads_after_it(place: Place) -> None:
    store = await place.store()
    for number in range(1, 21):
        await place.commit(put("a", b"%d" % number))
        item = await store.get(G, "a")
        assert item is not None
        assert item.version == number
        assert (await place.read(0)).head.version == number
        assert (await store.heads([G]))[0].version == number


async def a_snapshot_holds_the_items_in_version_order(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), put("a"), drop("b"))
    page = await place.read(0)
    assert [(item.id, item.version, item.created) for item in page.items] == [("c", 3, 3), ("a", 4, 1)]
    assert (page.tombstones, page.through, page.complete, page.head) == ([], 5, True, Head(5, 0))


async def items_keep_the_order_of_creation(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), put("a"))
    assert (await place.snapshot()).order() == ["a", "b", "c"]


async def an_item_deleted_and_set_again_goes_last(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"), put("a"), put("b"))
    assert (await place.snapshot()).order() == ["b", "a"]


async def an_unknown_group_reads_as_empty(place: Place) -> None:
    page = await place.read(0, UNKNOWN)
    assert (page.items, page.tombstones, page.through, page.complete) == ([], [], page.head.version, True)


async def heads_come_in_the_order_asked(place: Place) -> None:
    other = GroupKey("room", "other")
    await place.commit(put("a"), put("b"), put("a", group=other))
    store = await place.store()
    assert await store.heads([other, UNKNOWN, G, other]) == [Head(1, 0), Head(0, 0), Head(2, 0), Head(1, 0)]
    assert await store.heads([]) == []


async def a_page_ends_at_its_limit_but_holds_something(place: Place) -> None:
    await place.commit(*(put(f"i{number}", b"x" * 1000) for number in range(20)))
    page = await place.read(0, limit_bytes=5000)
    assert 4 <= len(page.items) <= 6
    assert (page.complete, page.through) == (False, page.items[-1].version)
    assert len((await place.read(0, limit_bytes=1)).items) == 1


async def many_pages_are_the_whole(place: Place) -> None:
    await place.commit(*(put(f"i{number}", b"x" * (number % 7 * 100)) for number in range(1500)))
    await place.commit(*(put(f"i{number}", b"y") for number in range(0, 1500, 7)))
    await place.commit(*(drop(f"i{number}") for number in range(0, 1500, 11)))
    whole = await place.snapshot()
    assert len(whole.held) == 1500 - len(range(0, 1500, 11))
    assert await place.snapshot(limit_bytes=700) == whole


async def small_items_fill_a_page_too(place: Place) -> None:
    await place.commit(*(put(f"i{number}", b"") for number in range(200)))
    page = await place.read(0, limit_bytes=1000)
    assert not page.complete
    assert len(page.items) < 100


async def paging_during_writes_ends_at_what_is_there(place: Place) -> None:
    await place.commit(*(put(f"i{number}", b"x" * 50) for number in range(300)))
    held: dict[str, Item] = {}

    async def write() -> None:
        for number in range(100):
            await place.commit(
                put(f"i{number * 3}", b"y"), drop(f"i{299 - number * 2}"), put(f"n{number % 9}")
            )
            await asyncio.sleep(0)

    writing = asyncio.create_task(write())
    cursor = await place.held_after(0, held, limit_bytes=300)
    await writing
    await place.held_after(cursor, held, limit_bytes=300)
    assert held == (await place.snapshot()).held


async def every_page_is_of_one_moment(place: Place) -> None:
    """Each commit writes both items with one value, so a page that mixes two commits shows."""

    async def write() -> None:
        for number in range(200):
            await place.commit(put("a", b"%d" % number), put("b", b"%d" % number))

    await place.store()
    writing = asyncio.create_task(write())
    while not writing.done():
        page = await place.read(0)
        assert len({item.data for item in page.items}) <= 1
        assert page.head.version % 2 == 0
        assert page.complete
        await asyncio.sleep(0)
    await writing


async def a_listing_names_the_groups_that_hold_items(place: Place) -> None:
    names = ["b", "a", "ab", "\u00e9", "z", "B", "\U0001f600", "\uffff"]
    await place.commit(*(put("1", group=GroupKey("room", name)) for name in names))
    await place.commit(put("2", group=GroupKey("room", "ab")), drop("1", GroupKey("room", "z")))
    await place.commit(put("1", group=GroupKey("hall", "other")))
    listed = await (await place.store()).groups("room")
    expected = sorted(name for name in names if name != "z")
    assert [info.group for info in listed] == expected, "by code point"
    assert listed[expected.index("ab")] == GroupInfo("ab", 2, 2)


async def a_listing_pages(place: Place) -> None:
    names = [f"g{number:03}" for number in range(25)]
    await place.commit(*(put("1", group=GroupKey("room", name)) for name in names))
    store = await place.store()
    found: list[str] = []
    while page := await store.groups("room", after=found[-1] if found else "", limit=10):
        assert len(page) <= 10
        found += [info.group for info in page]
    assert found == names


async def a_closed_store_answers_that_it_is_closed(place: Place) -> None:
    await place.commit(put("a"))
    store = await place.store()
    await place.close()
    await store.close()
    for attempt in (
        store.commit([put("a")], stamp=place.stamp + 1),
        store.get(G, "a"),
        store.read(G, after=0, limit_bytes=1),
        store.heads([G]),
        store.groups("room"),
        store.sweep(now=0.0, tombstone_age=1.0),
    ):
        try:
            await attempt
        except StoreUnavailable:
            continue
        raise AssertionError("a closed store has answered")


CHECKS: tuple[Check, ...] = (
    an_item_is_found_with_its_versions,
    a_deleted_item_is_not_found,
    a_commit_is_seen_by_the_reads_after_it,
    a_snapshot_holds_the_items_in_version_order,
    items_keep_the_order_of_creation,
    an_item_deleted_and_set_again_goes_last,
    an_unknown_group_reads_as_empty,
    heads_come_in_the_order_asked,
    a_page_ends_at_its_limit_but_holds_something,
    many_pages_are_the_whole,
    small_items_fill_a_page_too,
    paging_during_writes_ends_at_what_is_there,
    every_page_is_of_one_moment,
    a_listing_names_the_groups_that_hold_items,
    a_listing_pages,
    a_closed_store_answers_that_it_is_closed,
)
