"""Checks of what a write may carry beside its data: when the item is due, and a key that makes it
idempotent."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.model import Change, GroupKey, Write
from headwater.storage.base import Due, Repeated
from headwater.testing.storage.place import Check, G, Place, drop, edit, put


def _lasting(item: str, expires: float | None) -> Write:
    return put(item)._replace(expires=expires)


async def items_are_due_when_their_time_has_come_the_earliest_first(place: Place) -> None:
    await place.commit(_lasting("late", 30.0), _lasting("soon", 10.0), _lasting("never", None))
    assert await _due(place, 9.9) == []
    assert await _due(place, 10.0) == [("soon", 2)]
    assert await _due(place, 99.0) == [("soon", 2), ("late", 1)]
    assert await (await place.store()).due(now=99.0, limit=1) == [Due(G, "soon", 2)]


async def a_set_without_a_time_lasts_and_an_update_keeps_the_time(place: Place) -> None:
    await place.commit(_lasting("a", 10.0), _lasting("b", 10.0))
    await place.commit(put("a"), edit("b", lambda data: data or b"{}"))
    assert await _due(place, 99.0) == [("b", 4)]


async def an_update_gives_a_time_to_an_item_that_it_creates(place: Place) -> None:
    await place.commit(edit("a", lambda data: data or b"{}")._replace(expires=10.0))
    await place.commit(edit("a", lambda data: data or b"{}")._replace(expires=50.0))
    assert await _due(place, 10.0) == [("a", 2)]


async def a_deleted_item_is_not_due(place: Place) -> None:
    await place.commit(_lasting("a", 10.0), drop("a"))
    assert await _due(place, 99.0) == []
    await place.commit(put("a"))
    assert await _due(place, 99.0) == []


async def a_repeated_key_does_nothing_and_tells_the_first_outcome(place: Place) -> None:
    first = await place.change(put("a", b'{"n":1}')._replace(key="k"))
    (again,) = await place.commit(put("a", b'{"n":2}')._replace(key="k"))
    assert again == Repeated(first)
    await place.commit(put("a", b'{"n":3}'))
    (later,) = await place.commit(put("a", b'{"n":2}')._replace(key="k"))
    assert later == Repeated(first)
    assert (await place.read(0)).head.version == 2


async def an_update_only_of_what_exists_does_nothing_to_what_does_not(place: Place) -> None:
    await place.commit(put("a"), drop("a"))
    bold = edit("a", lambda data: data or b'{"id":"a"}')._replace(if_exists=True)
    outcomes = await place.commit(bold, bold._replace(if_version=1, key="k", expires=9.0))
    assert outcomes == [None, None]
    page = await place.read(0)
    assert (page.items, page.head.version) == ([], 2)
    await place.commit(put("a"))
    (change,) = await place.commit(bold)
    assert isinstance(change, Change)
    assert change.version == 4


async def a_unit_goes_on_over_an_update_of_what_does_not_exist(place: Place) -> None:
    bold = edit("a", lambda data: data or b'{"id":"a"}')._replace(if_exists=True)
    outcome = await place.unit(bold, put("b"), put("a"), bold)
    assert [change and change.version for change in outcome.changes] == [None, 1, 2, 3]


async def a_key_counts_in_its_group_alone_and_within_one_commit(place: Place) -> None:
    elsewhere = GroupKey(G.stream, "elsewhere")
    outcomes = await place.commit(
        put("a")._replace(key="k"), put("b")._replace(key="k"), put("a")._replace(key="k", group=elsewhere)
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Change", "Repeated", "Change"]


async def a_rejected_write_and_a_delete_of_nothing_keep_no_key(place: Place) -> None:
    await place.commit(put("a", if_version=9)._replace(key="k"), drop("zz")._replace(key="l"))
    (first,) = await place.commit(put("a")._replace(key="k"))
    (second,) = await place.commit(put("zz")._replace(key="l"))
    assert [type(outcome).__name__ for outcome in (first, second)] == ["Change", "Change"]


async def keys_age_out(place: Place) -> None:
    store = await place.store()
    await store.commit([put("a")._replace(key="k")], stamp=1_000.0)
    await store.sweep(now=2.0, tombstone_age=5.0)
    (again,) = await store.commit([put("a")._replace(key="k")], stamp=3_000.0)
    assert isinstance(again, Repeated)
    await store.sweep(now=7.0, tombstone_age=5.0)
    (fresh,) = await store.commit([put("a")._replace(key="k")], stamp=8_000.0)
    assert not isinstance(fresh, Repeated)


async def keys_age_out_a_limit_at_a_time(place: Place) -> None:
    store = await place.store()
    await store.commit([put("a")._replace(key=f"k{number}") for number in range(25)], stamp=1_000.0)
    assert [await store.sweep(now=99.0, tombstone_age=5.0, limit=10) for _ in range(4)] == [10, 10, 5, 0]


async def _due(place: Place, now: float) -> list[tuple[str, int]]:
    return [(due.id, due.version) for due in await (await place.store()).due(now=now)]


CHECKS: tuple[Check, ...] = (
    items_are_due_when_their_time_has_come_the_earliest_first,
    a_set_without_a_time_lasts_and_an_update_keeps_the_time,
    an_update_gives_a_time_to_an_item_that_it_creates,
    a_deleted_item_is_not_due,
    a_repeated_key_does_nothing_and_tells_the_first_outcome,
    an_update_only_of_what_exists_does_nothing_to_what_does_not,
    a_unit_goes_on_over_an_update_of_what_does_not_exist,
    a_key_counts_in_its_group_alone_and_within_one_commit,
    a_rejected_write_and_a_delete_of_nothing_keep_no_key,
    keys_age_out,
    keys_age_out_a_limit_at_a_time,
)
