"""Checks of groups without history: nothing is left behind, and nobody else notices them."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import Change, GroupKey, Head, Unit, Write
from headwater.storage.base import Committed, Due, Repeated
from headwater.testing.storage.place import Check, G, Place, drop, edit, kinds, put
from headwater.testing.storage.sweeping import AGE, sweep

WORK = GroupKey("work", "queue")
OTHER = GroupKey("work", "other")


def job(item: str, data: bytes = b"{}", group: GroupKey = WORK) -> Write:
    """A set without history."""
    return put(item, data, group)._replace(history=False)


def done(item: str, group: GroupKey = WORK) -> Write:
    """A delete without history."""
    return drop(item, group)._replace(history=False)


async def it_is_written_and_read_like_any_other(place: Place) -> None:
    outcomes = await place.commit(job("a", b"1"), job("b"), job("a", b"2"), done("zz"))
    assert kinds(outcomes) == ["create", "create", "update", "nothing"]
    assert (await place.snapshot(WORK)).order() == ["a", "b"]
    page = await place.read(2, WORK)
    assert [(item.id, item.version) for item in page.items] == [("a", 3)]
    assert page.head == Head(3, 0)
    assert (await place.read(1, WORK, only="a")).items == page.items


async def a_delete_raises_the_floor_and_leaves_no_tombstone(place: Place) -> None:
    await place.commit(job("a"), job("b"), job("c"))
    change = await place.change(done("b"))
    assert (change.kind, change.version, change.created) == ("delete", 4, 2)
    await place.commit(job("a"))
    page = await place.read(4, WORK)
    assert page.head == Head(5, 4)
    assert (page.tombstones, [item.id for item in page.items]) == ([], ["a"])
    assert await sweep(place, AGE + 1) == 0
    assert (await place.read(0, WORK)).head == Head(5, 4)


async def a_group_without_items_is_forgotten_with_the_commit(place: Place) -> None:
    await place.commit(job("a"), job("b"), job("a", group=OTHER))
    await place.commit(done("a"), done("b"))
    store = await place.store()
    assert [info.group for info in await store.groups("work")] == ["other"]
    gone, new = await store.heads([WORK, GroupKey("work", "never")])
    assert gone == new == Head(4, 4)
    assert await place.commit(done("a")) == [None]
    assert (await place.change(job("a"))).version == 5


async def a_group_emptied_and_filled_in_one_commit_stays(place: Place) -> None:
    await place.commit(job("a"))
    outcomes = await place.commit_units(Unit([done("a"), job("b")]), done("b"), job("c"))
    assert isinstance(outcomes[0], Committed)
    assert (await place.read(0, WORK)).head == Head(5, 4)
    assert (await place.snapshot(WORK)).order() == ["c"]


async def forgotten_groups_raise_the_base_of_their_stream_alone(place: Place) -> None:
    await place.commit(*(job("a") for _ in range(9)), done("a"), put("a"))
    await place.commit(put("b", group=GroupKey("room", "x")))
    store = await place.store()
    unknown, mine, room = await store.heads([GroupKey("room", "new"), WORK, G])
    assert (unknown, mine, room) == (Head(0, 0), Head(10, 10), Head(1, 0))
    assert (await place.change(put("a", group=GroupKey("room", "new")))).version == 1


async def no_version_is_used_twice(place: Place) -> None:
    used: set[tuple[GroupKey, int]] = set()
    for turn in range(6):
        for key in (WORK, OTHER, WORK):
            for write in (job("a", group=key), job("b", group=key), done("a", key), done("b", key)):
                change = await place.change(write)
                assert (key, change.version) not in used
                used.add((key, change.version))
        await place.commit(put("a", group=GroupKey("work", "kept")), drop("a", GroupKey("work", "kept")))
        if turn % 2:
            await sweep(place, AGE + 1)


async def a_streams_own_base_begins_where_all_groups_begin(place: Place) -> None:
    await place.commit(*(put("a") for _ in range(20)), drop("a"))
    await sweep(place, AGE + 1)
    assert await (await place.store()).heads([WORK, G]) == [Head(21, 21)] * 2
    assert (await place.change(job("a"))).version == 22
    assert await (await place.store()).heads([OTHER]) == [Head(21, 21)]


async def a_group_stays_as_its_first_write_made_it(place: Place) -> None:
    await place.commit(put("a"), put("b"))
    await place.commit(drop("a")._replace(history=False), drop("b")._replace(history=False))
    page = await place.read(2)
    assert ([gone.id for gone in page.tombstones], page.head) == (["a", "b"], Head(4, 0))
    await place.commit(job("a"), job("b"), drop("a", WORK), put("c", group=WORK))
    assert (await place.read(3, WORK)).head == Head(4, 3)


async def groups_with_history_may_be_in_the_same_stream(place: Place) -> None:
    await place.commit(*(job("a") for _ in range(5)), done("a"))
    assert (await place.change(put("a", group=OTHER))).version == 7
    await place.commit(drop("a", OTHER))
    assert (await place.read(7, OTHER)).tombstones
    await sweep(place, AGE + 1)
    assert await (await place.store()).heads([OTHER, G]) == [Head(8, 8), Head(0, 0)]


async def a_key_outlives_the_group_that_it_was_used_in(place: Place) -> None:
    first = await place.change(job("a")._replace(key="k"))
    await place.commit(done("a")._replace(key="l"))
    for write, change in ((job("a")._replace(key="k"), first), (job("b")._replace(key="l"), None)):
        (again,) = await place.commit(write)
        assert isinstance(again, Repeated)
        assert change is None or again.change == change
    assert await (await place.store()).groups("work") == []
    await sweep(place, AGE + 1)
    assert isinstance(await place.change(job("a")._replace(key="k")), Change)


async def items_are_due_as_anywhere(place: Place) -> None:
    await place.commit(job("a")._replace(expires=10.0), job("b")._replace(expires=5.0))
    store = await place.store()
    assert await store.due(now=20.0) == [Due(WORK, "b", 2), Due(WORK, "a", 1)]
    await place.commit(done("b"), done("a"))
    assert await store.due(now=20.0) == []


async def a_rejected_unit_leaves_no_trace(place: Place) -> None:
    await place.reject_unit(job("a"), job("b"), job("c")._replace(if_version=3))
    store = await place.store()
    assert await store.groups("work") == []
    assert await store.heads([WORK]) == [Head(0, 0)]
    await place.commit(job("a"))
    await place.reject_unit(done("a"), job("a")._replace(if_version=3))
    assert (await place.read(0, WORK)).head == Head(1, 0)


async def every_reader_ends_at_the_same_state_or_starts_over(place: Place) -> None:
    cursors: list[int] = [0]
    for number in range(60):
        await place.commit(job(f"i{number % 7}", b"%d" % number), job("keep"))
        if number % 5 == 4:
            await place.commit(done(f"i{number % 7}"))
        cursors.append((await place.read(0, WORK)).head.version)
    now = await place.snapshot(WORK, limit_bytes=100)
    for cursor in cursors:
        page = await place.read(cursor, WORK)
        if cursor < page.head.floor:
            continue
        assert {item.id for item in page.items} == {
            item.id for item in now.held.values() if item.version > cursor
        }


async def updates_need_no_history(place: Place) -> None:
    update = edit("a", lambda data: (data or b"") + b"+")._replace(group=WORK, history=False)
    await place.commit(update, update, job("b"), update)
    assert (await place.snapshot(WORK)).held["a"].data == b"+++"


CHECKS: tuple[Check, ...] = (
    it_is_written_and_read_like_any_other,
    a_delete_raises_the_floor_and_leaves_no_tombstone,
    a_group_without_items_is_forgotten_with_the_commit,
    a_group_emptied_and_filled_in_one_commit_stays,
    forgotten_groups_raise_the_base_of_their_stream_alone,
    no_version_is_used_twice,
    a_streams_own_base_begins_where_all_groups_begin,
    a_group_stays_as_its_first_write_made_it,
    groups_with_history_may_be_in_the_same_stream,
    a_key_outlives_the_group_that_it_was_used_in,
    items_are_due_as_anywhere,
    a_rejected_unit_leaves_no_trace,
    every_reader_ends_at_the_same_state_or_starts_over,
    updates_need_no_history,
)
