"""Checks of what a write does: versions, kinds, rejections, batches."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.errors import Conflict, HeadwaterError, SchemaMismatch
from headwater.model import Change, GroupKey, Origin, Write
from headwater.testing.storage.place import Check, G, Place, drop, edit, kinds, put


async def the_first_write_creates_at_version_one(place: Place) -> None:
    change = await place.change(put("a", b'{"n":1}'))
    assert change == Change(G, "a", "create", 1, 1, b'{"n":1}')


async def an_update_keeps_the_creating_version(place: Place) -> None:
    await place.commit(put("a"), put("b"))
    change = await place.change(put("a", b'{"n":2}'))
    assert (change.kind, change.version, change.created, change.data) == ("update", 3, 1, b'{"n":2}')


async def versions_of_a_group_have_no_gaps(place: Place) -> None:
    outcomes = await place.commit(put("a"), put("b"), put("a"), drop("zz"), drop("a"), put("a"))
    outcomes += await place.commit(drop("b"), put("c", if_version=9), put("c"))
    assert [outcome.version for outcome in outcomes if isinstance(outcome, Change)] == list(range(1, 8))


async def every_group_counts_its_own_versions(place: Place) -> None:
    other, stream = GroupKey("room", "other"), GroupKey("hall", "general")
    outcomes = await place.commit(put("a"), put("a", group=other), put("b"), put("a", group=stream))
    assert [(change.version, change.kind) for change in outcomes if isinstance(change, Change)] == [
        (1, "create"),
        (1, "create"),
        (2, "create"),
        (1, "create"),
    ]


async def a_delete_answers_the_item_as_it_was(place: Place) -> None:
    await place.commit(put("a"), put("a", b'{"n":2}'))
    change = await place.change(drop("a"))
    assert change == Change(G, "a", "delete", 3, 1, b'{"n":2}')


async def deleting_what_is_not_there_changes_nothing(place: Place) -> None:
    assert await place.commit(drop("a")) == [None]
    assert (await place.change(put("a"))).version == 1
    assert kinds(await place.commit(drop("b"), drop("a"), drop("a"))) == ["nothing", "delete", "nothing"]
    assert (await place.read(0)).head.version == 2


async def an_id_set_again_is_created_anew(place: Place) -> None:
    await place.commit(put("a"), put("b"), drop("a"))
    change = await place.change(put("a"))
    assert (change.kind, change.created, change.version) == ("create", 4, 4)


async def an_empty_batch_does_nothing(place: Place) -> None:
    assert await place.commit() == []


async def two_sets_of_a_new_id_are_one_create_and_one_update(place: Place) -> None:
    assert kinds(await place.commit(put("a"), put("a"))) == ["create", "update"]


async def a_batch_may_do_everything_to_one_id(place: Place) -> None:
    outcomes = await place.commit(
        put("a"), drop("a"), put("a", b"2"), edit("a", lambda data: (data or b"") + b"3")
    )
    assert kinds(outcomes) == ["create", "delete", "create", "update"]
    item = await (await place.store()).get(G, "a")
    assert item is not None
    assert (item.data, item.created, item.version) == (b"23", 3, 4)


async def a_large_batch_is_answered_in_order(place: Place) -> None:
    outcomes = await place.commit(*(put(f"i{number}", b"%d" % number) for number in range(2000)))
    assert [outcome.version for outcome in outcomes if isinstance(outcome, Change)] == list(range(1, 2001))
    assert len((await place.snapshot()).held) == 2000


async def who_wrote_comes_back(place: Place) -> None:
    origin = Origin("chat", "trace-1")
    assert (await place.change(Write(G, "a", "set", b"{}", origin=origin))).origin == origin
    assert (await place.change(Write(G, "a", "delete", origin=origin))).origin == origin


async def if_version_lets_the_expected_write_through(place: Place) -> None:
    assert (await place.change(put("a", if_version=0))).version == 1
    assert (await place.change(put("a", if_version=1))).version == 2
    assert (await place.change(edit("a", lambda _: b"3", if_version=2))).version == 3
    assert (await place.change(drop("a", if_version=3))).version == 4
    assert (await place.change(put("a", if_version=0))).version == 5


async def if_version_rejects_any_other(place: Place) -> None:
    await place.commit(put("a"), put("a"))
    for write in (
        put("a", if_version=1),
        put("a", if_version=0),
        drop("a", if_version=1),
        put("a", if_version=3),
    ):
        error = await place.reject(write)
        assert isinstance(error, Conflict)
        assert error.details["version"] == 2
    missing = await place.reject(drop("b", if_version=1))
    assert isinstance(missing, Conflict)
    assert missing.details["version"] == 0
    assert (await place.read(0)).head.version == 2


async def if_version_sees_the_writes_before_it_in_the_batch(place: Place) -> None:
    outcomes = await place.commit(put("a", if_version=0), put("a", if_version=0), put("a", if_version=1))
    assert kinds(outcomes) == ["create", "CONFLICT", "update"]


async def if_version_zero_of_nothing_deletes_nothing(place: Place) -> None:
    assert await place.commit(drop("a", if_version=0)) == [None]


async def an_update_is_given_what_is_there(place: Place) -> None:
    given: list[bytes | None] = []

    def note(data: bytes | None) -> bytes:
        given.append(data)
        return b"%d" % len(given)

    assert kinds(await place.commit(edit("a", note))) == ["create"]
    assert given[-1] is None
    before = (await (await place.store()).get(G, "a"), len(given))
    assert before[0] is not None
    assert kinds(await place.commit(edit("a", note))) == ["update"]
    assert given[before[1]] == before[0].data


async def an_update_after_a_delete_starts_from_nothing(place: Place) -> None:
    await place.commit(put("a", b"old"), drop("a"))
    change = await place.change(edit("a", lambda data: b"new" if data is None else data))
    assert (change.kind, change.data) == ("create", b"new")


async def a_rejected_write_leaves_the_rest_of_its_batch(place: Place) -> None:
    def refuse(_: bytes | None) -> bytes:
        raise SchemaMismatch("no", [])

    outcomes = await place.commit(put("a"), edit("a", refuse), put("b", if_version=7), put("c"))
    assert kinds(outcomes) == ["create", "SCHEMA_MISMATCH", "CONFLICT", "create"]
    assert set((await place.snapshot()).held) == {"a", "c"}
    assert (await place.read(0)).head.version == 2


async def a_batch_of_rejections_alone_changes_nothing(place: Place) -> None:
    assert kinds(await place.commit(put("a", if_version=1), drop("b"))) == ["CONFLICT", "nothing"]
    page = await place.read(0)
    assert (page.items, page.head.version) == ([], 0)


async def an_update_that_fails_unexpectedly_is_rejected_alone(place: Place) -> None:
    def fail(data: bytes | None) -> bytes:
        raise ZeroDivisionError(data)

    await place.commit(put("a", b"1"))
    outcomes = await place.commit(put("b"), edit("a", fail), put("c"))
    assert kinds(outcomes) == ["create", "INTERNAL", "create"]
    assert isinstance(outcomes[1], HeadwaterError)
    assert "ZeroDivisionError" in outcomes[1].message
    item = await (await place.store()).get(G, "a")
    assert item is not None
    assert item.data == b"1"


async def an_update_without_a_function_is_rejected_alone(place: Place) -> None:
    assert kinds(await place.commit(Write(G, "a", "update"), put("b"))) == ["INVALID_INPUT", "create"]


async def an_item_of_several_megabytes_comes_back_whole(place: Place) -> None:
    data = b'{"text":"' + b"0123456789abcdef" * (5 << 16) + b'"}'
    await place.commit(put("big", data), put("small"))
    item = await (await place.store()).get(G, "big")
    assert item is not None
    assert item.data == data
    assert (await place.change(put("big", data[::-1]))).data == data[::-1]
    assert (await place.snapshot()).held["big"].data == data[::-1]
    assert (await place.change(drop("big"))).data == data[::-1]


CHECKS: tuple[Check, ...] = (
    the_first_write_creates_at_version_one,
    an_update_keeps_the_creating_version,
    versions_of_a_group_have_no_gaps,
    every_group_counts_its_own_versions,
    a_delete_answers_the_item_as_it_was,
    deleting_what_is_not_there_changes_nothing,
    an_id_set_again_is_created_anew,
    an_empty_batch_does_nothing,
    two_sets_of_a_new_id_are_one_create_and_one_update,
    a_batch_may_do_everything_to_one_id,
    a_large_batch_is_answered_in_order,
    who_wrote_comes_back,
    if_version_lets_the_expected_write_through,
    if_version_rejects_any_other,
    if_version_sees_the_writes_before_it_in_the_batch,
    if_version_zero_of_nothing_deletes_nothing,
    an_update_is_given_what_is_there,
    an_update_after_a_delete_starts_from_nothing,
    a_rejected_write_leaves_the_rest_of_its_batch,
    a_batch_of_rejections_alone_changes_nothing,
    an_update_that_fails_unexpectedly_is_rejected_alone,
    an_update_without_a_function_is_rejected_alone,
    an_item_of_several_megabytes_comes_back_whole,
)
