"""Checks of the outbox: entries commit with their changes and go with the unit that settles them."""
# ruff: noqa: D103 (a check is named for what it pins)

from __future__ import annotations

from headwater.errors import Conflict
from headwater.model import MAX_REASON_BYTES, Origin, OutboxEntry, Unit, Write
from headwater.storage.base import Committed
from headwater.testing.storage.place import Check, G, Place, drop, edit, put


def asked(write: Write, reason: bytes = b"why") -> Write:
    """The same write, asking for an entry."""
    return write._replace(outbox=reason)


async def entries(
    place: Place, after: int = 0, limit: int = 1000, limit_bytes: int = 1 << 20
) -> list[OutboxEntry]:
    """What is pending."""
    return await (await place.store()).outbox(after=after, limit=limit, limit_bytes=limit_bytes)


async def a_change_leaves_what_it_was_and_became(place: Place) -> None:
    origin = Origin("step", "trace")
    await place.commit(asked(put("a", b"1"), b"")._replace(origin=origin))
    await place.commit(asked(put("a", b"2")), asked(edit("a", lambda data: (data or b"") + b"3")))
    await place.commit(asked(drop("a"), b"gone"))
    found = await entries(place)
    assert [tuple(entry)[1:] for entry in found] == [
        (G, "a", "create", 1, None, b"1", origin, b""),
        (G, "a", "update", 2, b"1", b"2", Origin(), b"why"),
        (G, "a", "update", 3, b"2", b"23", Origin(), b"why"),
        (G, "a", "delete", 4, b"23", None, Origin(), b"gone"),
    ]
    ids = [entry.id for entry in found]
    assert ids == sorted(set(ids))
    assert ids[0] > 0


async def what_did_not_ask_leaves_nothing(place: Place) -> None:
    await place.commit(put("a"), asked(drop("zz")), asked(put("a", if_version=9)), drop("a"))
    await place.reject_unit(asked(put("b")), put("b", if_version=9))
    assert await entries(place) == []


async def a_repeated_write_leaves_no_second_entry(place: Place) -> None:
    for _ in range(2):
        await place.commit(asked(put("a"))._replace(key="k"))
        await place.commit_units(Unit([asked(put("b"))], key="l"))
    assert [entry.item for entry in await entries(place)] == ["a", "b"]


async def writes_of_one_batch_to_one_item_each_tell_what_was_before(place: Place) -> None:
    await place.commit(put("a", b"0"))
    await place.commit_units(
        put("a", b"1"),
        Unit([asked(put("a", b"2")), asked(drop("a")), asked(put("a", b"3"))]),
        asked(put("a", b"4")),
    )
    assert [(entry.before, entry.after) for entry in await entries(place)] == [
        (b"1", b"2"),
        (b"2", None),
        (None, b"3"),
        (b"3", b"4"),
    ]


async def a_unit_settles_entries(place: Place) -> None:
    await place.commit(*(asked(put(f"i{number}")) for number in range(5)))
    first, second, *_ = await entries(place)
    done = await place.unit(put("job"), settles=[first.id, second.id])
    assert len(done.changes) == 1
    assert [entry.item for entry in await entries(place)] == ["i2", "i3", "i4"]


async def a_unit_may_only_settle(place: Place) -> None:
    await place.commit(asked(put("a")))
    (entry,) = await entries(place)
    assert await place.unit(settles=[entry.id]) == Committed([])
    assert await entries(place) == []


async def an_entry_is_settled_once(place: Place) -> None:
    await place.commit(asked(put("a")), asked(put("b")))
    one, two = await entries(place)
    first, second = await place.commit_units(
        Unit([put("job1")], settles=[one.id]), Unit([put("job2")], settles=[two.id, one.id])
    )
    assert isinstance(first, Committed)
    assert isinstance(second, Conflict)
    assert second.details["entry"] == one.id
    assert await entries(place) == [two]
    error = await place.reject_unit(put("job3"), settles=[one.id])
    assert error.details["entry"] == one.id
    assert {"job2", "job3"}.isdisjoint((await place.snapshot()).held)
    assert (await place.unit(put("job4"), settles=[two.id, two.id])).changes


async def a_rejected_unit_settles_nothing(place: Place) -> None:
    await place.commit(asked(put("a")))
    (entry,) = await entries(place)
    await place.reject_unit(put("a", if_version=9), settles=[entry.id])
    assert await entries(place) == [entry]


async def a_repeated_unit_is_not_asked_what_it_settles(place: Place) -> None:
    await place.commit(asked(put("a")))
    (entry,) = await entries(place)
    assert not (await place.unit(settles=[entry.id], key="k")).repeated
    assert await place.unit(settles=[entry.id], key="k") == Committed([], repeated=True)


async def entries_are_read_a_limit_at_a_time(place: Place) -> None:
    await place.commit(*(asked(put(f"i{number}", b"x" * 1000)) for number in range(50)))
    found: list[OutboxEntry] = []
    while page := await entries(place, after=found[-1].id if found else 0, limit=20):
        assert len(page) <= 20
        found += page
    assert [entry.item for entry in found] == [f"i{number}" for number in range(50)]
    assert len(await entries(place, limit_bytes=5000)) == 5
    assert len(await entries(place, limit_bytes=1)) == 1


async def ids_are_never_used_twice(place: Place) -> None:
    used: set[int] = set()
    for _ in range(4):
        await place.commit(asked(put("a")), asked(put("b")))
        found = {entry.id for entry in await entries(place)}
        assert found.isdisjoint(used)
        assert min(found) > max(used, default=0)
        used |= found
        await place.unit(settles=sorted(found))


async def a_long_reason_is_refused(place: Place) -> None:
    assert (await place.reject(asked(put("a"), b"x" * (MAX_REASON_BYTES + 1)))).code == "TOO_LARGE"
    await place.change(asked(put("a"), b"x" * MAX_REASON_BYTES))


async def many_entries_wait(place: Place) -> None:
    for start in range(0, 20_000, 2000):
        await place.commit(*(asked(put(f"i{number % 300}")) for number in range(start, start + 2000)))
    settled = 0
    while found := await entries(place, limit=3000):
        await place.unit(put("jobs", b"%d" % settled), settles=[entry.id for entry in found])
        settled += len(found)
    assert settled == 20_000


CHECKS: tuple[Check, ...] = (
    a_change_leaves_what_it_was_and_became,
    what_did_not_ask_leaves_nothing,
    a_repeated_write_leaves_no_second_entry,
    writes_of_one_batch_to_one_item_each_tell_what_was_before,
    a_unit_settles_entries,
    a_unit_may_only_settle,
    an_entry_is_settled_once,
    a_rejected_unit_settles_nothing,
    a_repeated_unit_is_not_asked_what_it_settles,
    entries_are_read_a_limit_at_a_time,
    ids_are_never_used_twice,
    a_long_reason_is_refused,
    many_entries_wait,
)
