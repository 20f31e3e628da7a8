"""Checks of units: all or nothing, with one key and one answer."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.errors import Conflict, HeadwaterError, SchemaMismatch
from headwater.model import Change, GroupKey, Head, PlacedSignal, Signal, Unit
from headwater.storage.base import Committed, Repeated, UnitOutcome
from headwater.testing.storage.place import Check, G, Place, drop, edit, kinds, put
from headwater.testing.storage.sweeping import AGE, sweep

OTHER = GroupKey("hall", "other")


async def a_unit_answers_each_of_its_writes(place: Place) -> None:
    done = await place.unit(put("a"), put("b", group=OTHER), drop("zz"), put("a"), drop("a"))
    assert kinds(done.changes) == ["create", "create", "nothing", "update", "delete"]
    assert [change.version for change in done.changes if change] == [1, 1, 2, 3]
    assert not done.repeated


async def one_rejected_write_rejects_the_unit_and_is_named(place: Place) -> None:
    await place.commit(put("a"))
    error = await place.reject_unit(put("b"), put("c", group=OTHER), put("a", if_version=9), drop("a"))
    assert isinstance(error, Conflict)
    assert (error.details["index"], error.details["version"]) == (2, 1)
    store = await place.store()
    assert set((await place.snapshot()).held) == {"a"}
    assert await store.heads([G, OTHER]) == [Head(1, 0), Head(0, 0)]
    assert await store.groups(OTHER.stream) == []


async def a_rejected_unit_uses_up_nothing(place: Place) -> None:
    await place.commit(put("a"), put("b"))
    before = await place.read(0)
    for _ in range(3):
        await place.reject_unit(put("a", b"x"), drop("b"), put("c"), put("d", if_version=1))
    assert await place.read(0) == before
    assert (await place.change(put("a"))).version == 3
    assert (await place.read(2)).tombstones == []


async def a_unit_whose_update_refuses_changes_nothing(place: Place) -> None:
    def refuse(_: bytes | None) -> bytes:
        raise SchemaMismatch("no", [])

    error = await place.reject_unit(put("a"), edit("b", refuse), put("c"))
    assert (error.code, error.details["index"]) == ("SCHEMA_MISMATCH", 1)
    assert (await place.read(0)).head == Head(0, 0)


async def later_writes_of_a_unit_see_the_earlier_ones(place: Place) -> None:
    await place.commit(put("a", b"1"))
    done = await place.unit(
        put("a", b"2", if_version=1),
        edit("a", lambda data: (data or b"") + b"3", if_version=2),
        drop("a", if_version=3),
        put("a", b"4", if_version=0),
        edit("a", lambda data: (data or b"") + b"5"),
    )
    assert kinds(done.changes) == ["update", "update", "delete", "create", "update"]
    item = (await place.snapshot()).held["a"]
    assert (item.data, item.version, item.created) == (b"45", 6, 5)


async def units_of_a_batch_are_independent_and_later_ones_see_the_earlier(place: Place) -> None:
    first, second, third, alone = await place.commit_units(
        Unit([put("a"), put("b")]),
        Unit([put("c"), put("a", if_version=0)]),
        Unit([put("a", if_version=1), put("d", if_version=0)]),
        put("b", if_version=2),
    )
    assert kinds(_changes(first)) == ["create", "create"]
    assert isinstance(second, Conflict)
    assert second.details["index"] == 1
    assert [change.version for change in _changes(third) if change] == [3, 4]
    assert isinstance(alone, Change)
    assert alone.version == 5
    assert set((await place.snapshot()).held) == {"a", "b", "d"}


async def a_unit_of_nothing_is_committed(place: Place) -> None:
    assert await place.unit() == Committed([])
    assert await place.unit(drop("a"), drop("b")) == Committed([None, None])
    assert (await place.read(0)).head == Head(0, 0)


async def a_key_makes_a_unit_happen_once(place: Place) -> None:
    first = await place.unit(put("a", b"1"), drop("zz"), put("b", group=OTHER), key="k")
    again = await place.unit(put("a", b"2"), put("c"), key="k")
    assert again.repeated
    assert _plain(again) == _plain(first)
    assert set((await place.snapshot()).held) == {"a"}
    in_one = await place.commit_units(Unit([put("x")], key="l"), Unit([put("x")], key="l"))
    assert [isinstance(one, Committed) and one.repeated for one in in_one] == [False, True]
    assert (await place.read(0)).head.version == 2


async def a_unit_that_did_nothing_keeps_no_key(place: Place) -> None:
    await place.commit_units(Unit([put("a", if_version=9)], key="k"), Unit([drop("zz")], key="l"))
    for key in ("k", "l"):
        assert not (await place.unit(put(key), key=key)).repeated


async def a_units_key_is_not_a_writes(place: Place) -> None:
    await place.unit(put("a"), key="k")
    assert isinstance(await place.change(put("a")._replace(key="k")), Change)
    (again,) = await place.commit(put("a")._replace(key="k"))
    assert isinstance(again, Repeated)


async def a_key_of_a_write_inside_a_unit_is_refused(place: Place) -> None:
    error = await place.reject_unit(put("a"), put("b")._replace(key="k"))
    assert (error.code, error.details["index"]) == ("INVALID_INPUT", 1)
    assert (await place.read(0)).head == Head(0, 0)


async def a_units_key_ages_out(place: Place) -> None:
    await place.unit(put("a"), put("b"), key="k")
    await sweep(place, AGE - 1)
    assert (await place.unit(put("a"), key="k")).repeated
    await sweep(place, AGE + 1)
    assert not (await place.unit(put("a"), key="k")).repeated


async def a_name_that_is_no_text_rejects_its_unit(place: Place) -> None:
    error = await place.reject_unit(put("a"), put("a\ud800"))
    assert (error.code, error.details["index"]) == ("INVALID_INPUT", 1)
    (outcome,) = await place.commit_units(Unit([put("a")], key="a\ud800"))
    assert isinstance(outcome, HeadwaterError)
    assert (await place.read(0)).head == Head(0, 0)


async def signals_are_not_the_stores(place: Place) -> None:
    signals = [PlacedSignal(0, Signal(G, None, b"{}")), PlacedSignal(1, Signal(G, None, b"{}"))]
    (outcome,) = await place.commit_units(Unit([put("a")], signals))
    assert kinds(_changes(outcome)) == ["create"]


async def a_unit_of_thousands_is_answered_in_order(place: Place) -> None:
    done = await place.unit(
        *(put(f"i{number}", group=GroupKey("s", f"{number % 7}")) for number in range(3000))
    )
    assert [change.id for change in done.changes if change] == [f"i{number}" for number in range(3000)]
    error = await place.reject_unit(*(put(f"j{number}") for number in range(3000)), put("x", if_version=1))
    assert error.details["index"] == 3000
    assert (await place.read(0)).head == Head(0, 0)


def _changes(outcome: UnitOutcome) -> list[Change | None]:
    assert isinstance(outcome, Committed), outcome
    return outcome.changes


def _plain(done: Committed) -> list[tuple[object, ...] | None]:
    return [change and tuple(change)[:-1] for change in done.changes]


CHECKS: tuple[Check, ...] = (
    a_unit_answers_each_of_its_writes,
    one_rejected_write_rejects_the_unit_and_is_named,
    a_rejected_unit_uses_up_nothing,
    a_unit_whose_update_refuses_changes_nothing,
    later_writes_of_a_unit_see_the_earlier_ones,
    units_of_a_batch_are_independent_and_later_ones_see_the_earlier,
    a_unit_of_nothing_is_committed,
    a_key_makes_a_unit_happen_once,
    a_unit_that_did_nothing_keeps_no_key,
    a_units_key_is_not_a_writes,
    a_key_of_a_write_inside_a_unit_is_refused,
    a_units_key_ages_out,
    a_name_that_is_no_text_rejects_its_unit,
    signals_are_not_the_stores,
    a_unit_of_thousands_is_answered_in_order,
)
