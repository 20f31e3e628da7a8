"""Who may do what: one question, one verdict; open streams are answered at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from headwater.errors import AccessDenied, HeadwaterError, UnknownStream
from headwater.model import GroupKey
from headwater.observe import Observer
from headwater.peer import Peer
from headwater.server.live.attendance import Attendance
from headwater.server.live.gate import NOT, YES, Admissions, Ask, StreamGate, Verdict, admit
from headwater.streams.catalog import Catalog, Rights, StreamRules, Verb

ME = Peer("websocket", "/", "192.0.2.1")
OPEN, GUARDED = GroupKey("open", "g"), GroupKey("guarded", "g")


class Ear(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[Peer, str]] = []

    def refused(self, peer: Peer, error: HeadwaterError) -> None:
        self.heard.append((peer, error.code))


def gate(answer: Any = True, ear: Observer | None = None) -> StreamGate:
    catalog = Catalog()
    catalog.declare((StreamRules(name="open"), StreamRules(name="guarded", rights=Rights(read="rule"))))

    async def access(*asked: Any) -> bool:
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


async def asked(rights: Rights, verb: Verb, *, item: str | None = "a", followed: bool = False) -> Any:
    """What the function of a stream with these rights is asked: its verb and item; else the verdict."""
    catalog = Catalog()
    catalog.declare((StreamRules(name="chat", presence=True, rights=rights),))
    heard: list[Any] = []

    async def access(*asked: Any) -> bool:
        heard.append(asked)
        return True

    answer = StreamGate(catalog, access).admit(Ask(ME, GroupKey("chat", "g"), item, verb, followed=followed))
    if isinstance(answer, Verdict):
        return answer.allowed
    assert (await answer).allowed
    ((_, _, of, _, verb, _),) = heard
    return verb, of


async def test_what_a_stream_does_not_open_is_nobodys() -> None:
    for verb in ("write", "send", "delete"):
        assert await asked(Rights(), verb) is False
        assert await asked(Rights(write="open", send="open", delete="open"), verb) is True
        assert await asked(Rights(write="rule", send="rule", delete="rule"), verb) == (verb, "a")
    assert await asked(Rights(read="nobody"), "read") is False


async def test_whoever_may_read_may_cancel_unless_the_stream_says_who_may() -> None:
    assert await asked(Rights(), "cancel") is True
    assert await asked(Rights(cancel="nobody"), "cancel") is False
    assert await asked(Rights(read="rule"), "cancel") == ("cancel", "a")
    assert await asked(Rights(read="rule"), "cancel", followed=True) == ("cancel", None)
    assert await asked(Rights(cancel="rule"), "cancel", followed=True) == ("cancel", "a")


async def test_nobody_writes_who_is_there_or_what_is_the_servers_own() -> None:
    opened = Rights(write="open", send="open", delete="open", cancel="open")
    catalog = Catalog([StreamRules(name="headwater.jobs", hidden=True, rights=opened)])
    catalog.declare((StreamRules(name="chat", presence=True, rights=opened),))

    async def access(*_: Any) -> bool:
        raise AssertionError("nothing is to be asked")

    gate = StreamGate(catalog, access)
    for verb in ("write", "send", "delete", "cancel"):
        assert gate.admit(Ask(ME, GroupKey("chat.presence", "g"), "a", verb)) == NOT[verb]
        with pytest.raises(UnknownStream):
            gate.admit(Ask(ME, GroupKey("headwater.jobs", "g"), "a", verb))


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
    ann = replace(ME, identity="ann")
    attendance.enter(ann, one)
    attendance.enter(ann, two)
    attendance.enter(ME, nobody)
    assert (set(attendance.of("ann")), attendance.of("bob"), len(attendance)) == ({one, two}, (), 2)
    for guest in (one, two, nobody, one):
        attendance.leave(guest)
    assert (attendance.of("ann"), len(attendance)) == ((), 0)


async def test_a_question_of_whoever_has_gone_before_it_was_asked_is_not_asked() -> None:
    """Nothing is left that was begun and nobody waits for, which Python would warn of."""
    admissions, told = Admissions(gate(True), ME, 1), list[HeadwaterError | None]()
    admissions.ask(GUARDED, None, told.append)
    admissions.close()
    await asyncio.sleep(0)
    gc.collect()
    assert told == []
