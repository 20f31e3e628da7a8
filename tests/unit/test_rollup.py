"""Changes held back together leave as the least that leads to the same state."""

from __future__ import annotations

from typing import Literal

from headwater.model import Change, GroupKey, Signal
from headwater.protocol.clients.wire import Advance
from headwater.streams.fanout.rollup import merge

GROUP = GroupKey("chat", "general")


def change(
    version: int, item: str, kind: Literal["create", "update", "delete"], before: bytes | None = None
) -> Advance:
    return Advance(Change(GROUP, item, kind, version, 1, b'{"v":%d}' % version), 1, before)


def outline(*pending: Advance | Signal) -> list[tuple[object, ...]]:
    return [
        (one.change.id, one.change.kind, one.change.version, one.before)
        if isinstance(one, Advance)
        else ("event",)
        for one in merge(pending)
    ]


def test_updates_of_one_item_leave_as_the_last_with_what_was_before_the_first() -> None:
    merged = outline(
        change(4, "a", "update", b"3"), change(5, "b", "update", b"1"), change(6, "a", "update", b"4")
    )
    assert merged == [("b", "update", 5, b"1"), ("a", "update", 6, b"3")]


def test_created_and_then_updated_is_created() -> None:
    assert outline(change(1, "a", "create"), change(2, "a", "update", b"1")) == [("a", "create", 2, None)]


def test_created_and_then_deleted_is_nothing() -> None:
    assert outline(change(1, "a", "create"), change(2, "a", "delete")) == []


def test_updated_and_then_deleted_is_deleted() -> None:
    assert outline(change(1, "a", "update", b"0"), change(2, "a", "delete")) == [("a", "delete", 2, b"0")]


def test_deleted_and_created_again_stays_two_since_the_item_moves_to_the_end() -> None:
    merged = outline(change(1, "a", "delete"), change(2, "a", "create"), change(3, "a", "update", b"2"))
    assert [(kind, version) for _, kind, version, _ in merged] == [("delete", 1), ("create", 3)]


def test_no_change_passes_an_event() -> None:
    merged = outline(change(1, "a", "update"), Signal(GROUP, None, b"{}"), change(2, "a", "update", b"1"))
    assert [entry[0] for entry in merged] == ["a", "event", "a"]


def test_where_frames_carry_no_versions_an_item_is_created_at_its_own_place() -> None:
    pending = [change(1, "a", "create"), change(2, "b", "create"), change(3, "a", "update", b"1")]
    merged = [
        (one.change.id, one.change.version)
        for one in merge(pending, versioned=False)
        if isinstance(one, Advance)
    ]
    assert merged == [("a", 3), ("b", 2)]
    merged = [(one.change.id, one.change.version) for one in merge(pending)]
    assert merged == [("b", 2), ("a", 3)]
