"""Who may do what: one question, one verdict; open streams are answered at once."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from headwater.errors import AccessDenied, HeadwaterError, UnknownStream
from headwater.model import GroupKey
from headwater.observe import Observer
from headwater.peer import Peer
from headwater.server.live.attendance import Attendance
from headwater.server.live.gate import YES, Admissions, Ask, StreamGate, Verdict, admit
from headwater.streams.catalog import Catalog, StreamRules

ME = Peer("websocket", "/", "192.0.2.1")
OPEN, GUARDED = GroupKey("open", "g"), GroupKey("guarded", "g")


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[Peer, str]] = []

    def refused(self, peer: Peer, error: HeadwaterError) -> None:
        self.heard.append((peer, error.code))


def gate(answer: Any = True, ear: Observer | None = None) -> StreamGate:
    catalog = Catalog()
    catalog.declare((StreamRules(name="open"), StreamRules(name="guarded", access=True)))

    async def access(stream: str, group: str, item: str | None, auth: Any) -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return StreamGate(catalog, access, ear or Observer())


def test_an_open_stream_is_answered_at_once_without_a_task() -> None:
    heard: list[HeadwaterError | None] = []
    Admissions(gate(), ME, 1).ask(OPEN, None, heard.append)
    assert heard == [None]
    assert gate().admit(Ask(ME, OPEN)) is YES


async def test_a_rule_says_yes_only_with_exactly_true() -> None:
    await admit(gate(True), Ask(ME, GUARDED))
    for answer in (False, None, 1, "yes", [True], RuntimeError("broken")):
        with pytest.raises(AccessDenied):
            await admit(gate(answer), Ask(ME, GUARDED))


async def test_an_unknown_stream_is_refused() -> None:
    with pytest.raises(UnknownStream):
        await admit(gate(), Ask(ME, GroupKey("nothing", "g")))


async def test_a_refusal_is_told() -> None:
    ear = Ear()
    with pytest.raises(AccessDenied):
        await admit(gate(False, ear), Ask(ME, GUARDED))
    assert ear.heard == [(ME, "STREAM_ACCESS_DENIED")]


async def test_any_gate_may_give_its_own_reason() -> None:
    class Own:
        def admit(self, ask: Ask) -> Verdict | Awaitable[Verdict]:
            return Verdict(False, "Not on Sundays.")

    with pytest.raises(AccessDenied, match="Not on Sundays"):
        await admit(Own(), Ask(ME, OPEN))


class Guest:
    def close(self, code: int, reason: str) -> None: ...


def test_guests_are_found_by_identity() -> None:
    attendance, one, two, nobody = Attendance(), Guest(), Guest(), Guest()
    attendance.enter("ann", one)
    attendance.enter("ann", two)
    attendance.enter(None, nobody)
    assert (set(attendance.of("ann")), attendance.of("bob"), len(attendance)) == ({one, two}, (), 2)
    for guest in (one, two, nobody, one):
        attendance.leave(guest)
    assert (attendance.of("ann"), len(attendance)) == ((), 0)
