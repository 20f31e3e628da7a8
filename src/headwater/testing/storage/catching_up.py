"""Checks of reading what changed after a version."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from random import Random

from headwater.model import GroupKey, Item, Tombstone, Write
from headwater.testing.storage.place import Check, G, Place, apply, drop, put


async def only_what_came_later_is_read(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), put("a", b"2"))
    page = await place.read(2)
    assert [(item.id, item.version) for item in page.items] == [("c", 3), ("a", 4)]
    assert (page.through, page.complete) == (4, True)


async def a_reader_that_is_up_to_date_reads_nothing(place: Place) -> None:
    await place.commit(put("a"), drop("a"))
    page = await place.read(2)
    assert (page.items, page.tombstones, page.through, page.complete) == ([], [], 2, True)


async def a_reader_ahead_of_the_store_is_told_the_head(place: Place) -> None:
    await place.commit(put("a"))
    page = await (await place.store()).read(G, after=9, limit_bytes=1000)
    assert (page.items, page.tombstones, page.complete, page.head.version) == ([], [], True, 1)


async def deletes_are_read_as_tombstones(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"), put("c"), drop("b"))
    assert (await place.read(2)).tombstones == [Tombstone("a", 3), Tombstone("b", 5)]
    assert (await place.read(3)).tombstones == [Tombstone("b", 5)]
    assert (await place.read(0)).tombstones == []


async def an_id_set_again_is_no_tombstone(place: Place) -> None:
    await place.commit(put("a"), drop("a"), put("a", b"2"))
    page = await place.read(1)
    assert (page.items, page.tombstones) == ([Item("a", b"2", 3, 3)], [])


async def an_id_deleted_twice_is_one_tombstone(place: Place) -> None:
    await place.commit(put("a"), drop("a"), put("a"), drop("a"), put("b"))
    page = await place.read(1)
    assert page.tombstones == [Tombstone("a", 4)]
    assert [item.id for item in page.items] == ["b"]


async def an_item_written_often_is_read_once(place: Place) -> None:
    await place.commit(put("b"), *(put("a", b"%d" % number) for number in range(500)))
    page = await place.read(1)
    assert page.items == [Item("a", b"499", 501, 2)]


async def one_item_can_be_followed_alone(place: Place) -> None:
    await place.commit(put("a"), put("b"), put("c"), put("a", b"2"), drop("b"))
    page = await place.read(0, only="a")
    assert (page.items, page.tombstones, page.through, page.complete) == (
        [Item("a", b"2", 4, 1)],
        [],
        5,
        True,
    )
    assert (await place.read(3, only="a")).items == [Item("a", b"2", 4, 1)]
    assert (await place.read(4, only="a")).items == []
    assert (await place.read(2, only="b")).tombstones == [Tombstone("b", 5)]
    for after, item_id in ((0, "b"), (5, "b"), (0, "zz"), (3, "zz")):
        page = await place.read(after, only=item_id)
        assert (page.items, page.tombstones, page.through) == ([], [], 5)


async def one_item_set_again_is_followed_as_an_item(place: Place) -> None:
    await place.commit(put("a"), drop("a"), put("a"), drop("a"))
    assert (await place.read(1, only="a")).tombstones == [Tombstone("a", 4)]
    await place.commit(put("a", b"5"))
    page = await place.read(1, only="a")
    assert (page.items, page.tombstones) == ([Item("a", b"5", 5, 5)], [])


async def one_item_of_an_unknown_group_is_nothing(place: Place) -> None:
    page = await place.read(0, GroupKey("room", "never written"), only="a")
    assert (page.items, page.complete) == ([], True)


async def every_reader_ends_at_the_same_state(place: Place) -> None:
    """One reader stopped at each version; catching up from there, in small pages and large, it holds all."""
    random = Random(7)  # noqa: S311
    stopped: list[tuple[int, dict[str, Item]]] = [(0, {})]
    for _ in range(60):
        await place.commit(*(_some_write(random) for _ in range(random.randrange(1, 5))))
        held = dict(stopped[-1][1])
        stopped.append((await place.held_after(stopped[-1][0], held), held))
    now = await place.snapshot()
    for limit_bytes in (1, 200, 1 << 20):
        for version, held in stopped:
            late = dict(held)
            assert await place.held_after(version, late, limit_bytes=limit_bytes) == now.version
            assert late == now.held


async def a_long_history_is_caught_up_in_pages(place: Place) -> None:
    for start in range(0, 3000, 500):
        await place.commit(*(put(f"i{number % 1200}", b"x" * 20) for number in range(start, start + 500)))
    held: dict[str, Item] = {}
    apply(await place.read(0, limit_bytes=10_000), held)
    await place.commit(*(drop(f"i{number}") for number in range(0, 1200, 3)))
    await place.commit(*(put(f"i{number}", b"again") for number in range(0, 1200, 9)))
    now = await place.snapshot()
    for after in (1, 100, 1500, 2900, 3100, 3400):
        pages = 0
        cursor, complete = after, False
        seen: dict[str, int] = {}
        while not complete:
            page = await place.read(cursor, limit_bytes=5_000)
            seen.update((entry.id, entry.version) for entry in [*page.items, *page.tombstones])
            cursor, complete, pages = page.through, page.complete, pages + 1
        assert cursor == now.version
        assert {item.id for item in now.held.values() if item.version > after} <= set(seen)
        assert all(version > after for version in seen.values())
        assert all((now.held[item_id].version == seen[item_id]) for item_id in seen if item_id in now.held)


def _some_write(random: Random) -> Write:
    item_id = f"i{random.randrange(12)}"
    return drop(item_id) if random.random() < 0.3 else put(item_id, b"%d" % random.randrange(1000))


CHECKS: tuple[Check, ...] = (
    only_what_came_later_is_read,
    a_reader_that_is_up_to_date_reads_nothing,
    a_reader_ahead_of_the_store_is_told_the_head,
    deletes_are_read_as_tombstones,
    an_id_set_again_is_no_tombstone,
    an_id_deleted_twice_is_one_tombstone,
    an_item_written_often_is_read_once,
    one_item_can_be_followed_alone,
    one_item_set_again_is_followed_as_an_item,
    one_item_of_an_unknown_group_is_nothing,
    every_reader_ends_at_the_same_state,
    a_long_history_is_caught_up_in_pages,
)
