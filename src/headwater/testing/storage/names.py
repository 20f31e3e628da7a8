"""Checks that groups and ids are compared exactly, whatever text they are."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import Change, GroupKey
from headwater.testing.storage.place import Check, G, Place, drop, kinds, put

ODD_NAMES = (
    "a",
    "ab",
    "A",
    " a",
    "a ",
    "a:b",
    "a/b",
    "a%2Fb",
    "../a",
    "a\x00b",
    "\x00",
    "a\nb",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "\u65e5\u672c",
    "'; DROP TABLE items; --",
    "%",
    "_",
    "*",
    "null",
    "0",
    "00",
    "1.0",
    "1",
    "x" * 1000,
)
"""Names that have been mistaken for one another somewhere."""

SURROGATE = "a\ud800"
"""No text: a lone half of a surrogate pair."""


async def a_group_is_not_its_prefix(place: Place) -> None:
    a, ab = GroupKey("room", "a"), GroupKey("room", "ab")
    await place.commit(put("1", group=a), put("2", group=ab), put("3", group=ab))
    assert set((await place.snapshot(a)).held) == {"1"}
    assert set((await place.snapshot(ab)).held) == {"2", "3"}


async def the_same_id_in_two_groups_is_two_items(place: Place) -> None:
    one, two = GroupKey("room", "one"), GroupKey("room", "two")
    await place.commit(put("a", b"1", one), put("a", b"2", two), drop("a", one))
    store = await place.store()
    assert await store.get(one, "a") is None
    item = await store.get(two, "a")
    assert item is not None
    assert item.data == b"2"


async def the_same_group_of_two_streams_is_two_groups(place: Place) -> None:
    one, two = GroupKey("ab", "c"), GroupKey("a", "bc")
    await place.commit(put("x", b"1", one), put("y", b"2", two))
    assert set((await place.snapshot(one)).held) == {"x"}
    assert set((await place.snapshot(two)).held) == {"y"}


async def any_text_is_an_item_id(place: Place) -> None:
    outcomes = await place.commit(*(put(name, name.encode()) for name in ODD_NAMES))
    assert kinds(outcomes) == ["create"] * len(ODD_NAMES)
    assert [outcome.id for outcome in outcomes if isinstance(outcome, Change)] == list(ODD_NAMES)
    held = (await place.snapshot()).held
    assert {name: item.data for name, item in held.items()} == {name: name.encode() for name in ODD_NAMES}
    store = await place.store()
    for name in ODD_NAMES:
        item = await store.get(G, name)
        assert item is not None
        assert (item.id, item.data) == (name, name.encode())
    await place.commit(*(drop(name) for name in ODD_NAMES[::2]))
    assert set((await place.snapshot()).held) == set(ODD_NAMES[1::2])


async def any_text_is_a_group_and_a_stream(place: Place) -> None:
    keys = [GroupKey(name, name[::-1]) for name in ODD_NAMES]
    await place.commit(*(put("a", key.stream.encode(), key) for key in keys))
    store = await place.store()
    for key in keys:
        item = await store.get(key, "a")
        assert item is not None
        assert item.data == key.stream.encode()
        assert [info.group for info in await store.groups(key.stream)] == [key.group]


async def a_name_that_is_no_text_is_rejected_alone(place: Place) -> None:
    bad = (
        put(SURROGATE),
        put("a", group=GroupKey("room", SURROGATE)),
        put("a", group=GroupKey(SURROGATE, "b")),
        put("a")._replace(key=SURROGATE),
        drop(SURROGATE),
    )
    outcomes = await place.commit(put("a"), *bad, put("b"))
    assert kinds(outcomes) == ["create", *["INVALID_INPUT"] * len(bad), "create"]


async def a_name_that_is_no_text_is_not_found(place: Place) -> None:
    await place.commit(put("a"))
    store = await place.store()
    assert await store.get(G, SURROGATE) is None
    assert await store.get(GroupKey("room", SURROGATE), "a") is None
    assert (await place.read(0, only=SURROGATE)).items == []
    assert (await place.read(0, GroupKey("room", SURROGATE))).items == []
    assert (await store.heads([GroupKey(SURROGATE, "a"), G]))[1].version == 1
    assert await store.groups(SURROGATE) == []


CHECKS: tuple[Check, ...] = (
    a_group_is_not_its_prefix,
    the_same_id_in_two_groups_is_two_items,
    the_same_group_of_two_streams_is_two_groups,
    any_text_is_an_item_id,
    any_text_is_a_group_and_a_stream,
    a_name_that_is_no_text_is_rejected_alone,
    a_name_that_is_no_text_is_not_found,
)
