"""What a reload of rules asks again: everybody who follows what they are about, each question once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.clock import Stamps
from headwater.errors import HeadwaterError
from headwater.model import GroupKey
from headwater.observe import Observer
from headwater.peer import NOBODY, Peer
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.live.gate import StreamGate
from headwater.server.live.rejudging import AT_ONCE, Rejudging
from headwater.server.live.session import Session
from headwater.server.live.session_v0 import V0Session
from headwater.server.live.session_v1 import V1Session
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import Catalog, Rights, StreamRules
from support.stream_store import turns
from support.v1_client import HandSocket
from support.v1_stage import V1Stage

RULED = Rights(read="rule")
ADA = Peer("websocket", identity="ada", context=b'{"user":"ada"}')


class Ear(Observer):
    def __init__(self) -> None:
        self.codes: list[str] = []

    def refused(self, peer: Peer, error: HeadwaterError) -> None:
        self.codes.append(error.code)


class Stage(V1Stage):
    """`chat` is under a rule; `news` is open. `load` is a reload."""

    def __init__(self) -> None:
        self.allowed = {"chat": True}
        self.asked: list[tuple[str, str, Any]] = []
        self.held: asyncio.Event | None = None
        self.sessions: list[Session] = []
        self.catalog = Catalog()
        self.ear = Ear()
        super().__init__(MemoryStore(), observer=self.ear)
        self.gate = StreamGate(self.catalog, self._answer, self.ear)
        self.rejudging = Rejudging(self.gate, lambda: self.sessions)

    async def _answer(self, stream: str, group: str, item: str | None, auth: Any, *_: Any) -> bool:
        self.asked.append((stream, group, auth))
        answer = self.allowed["chat"] and group != "closed"
        if self.held is not None:
            await self.held.wait()
        return answer

    def declare(self, **chat: Any) -> None:
        self.load("1")

    def load(self, stamp: str, rights: Rights = RULED) -> frozenset[str]:
        chat = StreamRules(name="chat", presence=True, rights=rights, stamp=stamp)
        return self.catalog.declare([chat, StreamRules(name="news", stamp=stamp)])

    def reload(self, stamp: str, rights: Rights = RULED) -> None:
        self.rejudging.begin(self.load(stamp, rights))

    def follow(self, group: str = "g", stream: str = "chat", peer: Peer = NOBODY, **more: Any) -> HandSocket:
        socket = HandSocket(1_000_000)
        session = V1Session(
            socket, self.streams, self.presence, self.gate, self.settings.socket, peer, observer=self.ear
        )
        self.sessions.append(session)
        subscribe = {"t": "sub", "sub": 1, "stream": stream, "group": group, **more}
        session.message(orjson.dumps(subscribe).decode())
        return socket


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    stage = Stage()
    yield stage
    stage.rejudging.close()
    await stage.close()


def heard(socket: HandSocket, *kinds: str) -> list[dict[str, Any]]:
    told = [orjson.loads(payload) for payload in socket.read(1000)]
    return [one for one in told if one["t"] in kinds]


async def test_who_may_follow_no_more_is_told_and_gets_nothing_more(stage: Stage) -> None:
    kept, lost = stage.follow(), stage.follow()
    stage.follow("g", "news")
    await turns()
    lost.session = stage.sessions[1]
    stage.allowed["chat"] = False
    stage.reload("2")
    await turns()
    for socket in (kept, lost):
        (told,) = heard(socket, "revoked")
        assert (told["sub"], told["code"]) == (1, "REVOKED")
    await stage.set("a", GroupKey("chat", "g"))
    assert heard(lost, "set", "page") == []
    stage.sessions[1].message('{"t":"sub","sub":1,"stream":"news","group":"g"}')
    await turns()
    assert heard(lost, "complete")


async def test_who_still_may_goes_on_with_no_frame_lost(stage: Stage) -> None:
    socket = stage.follow()
    await turns()
    stage.reload("2")
    await stage.set("a", GroupKey("chat", "g"))
    assert heard(socket, "revoked", "reset", "behind") == []
    assert stage.asked == [("chat", "g", None)] * 2


async def test_a_question_is_asked_once_however_many_ask_it(stage: Stage) -> None:
    for _ in range(50):
        stage.follow()
        stage.follow(peer=ADA)
    stage.follow("other")
    await turns()
    stage.asked.clear()
    stage.reload("2")
    await turns()
    assert len(stage.asked) == 3
    assert set(stage.asked) == {("chat", "g", ADA.context), ("chat", "g", None), ("chat", "other", None)}


async def test_few_questions_are_asked_at_a_time(stage: Stage) -> None:
    for n in range(3 * AT_ONCE):
        stage.follow(f"g{n}")
    await turns()
    stage.asked.clear()
    stage.held = asyncio.Event()
    stage.reload("2")
    await turns()
    assert len(stage.asked) == AT_ONCE
    stage.held.set()
    await turns()
    assert len(stage.asked) == 3 * AT_ONCE


@pytest.mark.parametrize(("stamp", "rights"), [("1", RULED), ("2", Rights())])
async def test_rules_that_are_as_they_were_and_streams_that_open_ask_nothing(
    stage: Stage, stamp: str, rights: Rights
) -> None:
    stage.follow()
    await turns()
    stage.asked.clear()
    stage.reload(stamp, rights)
    await turns()
    assert stage.asked == []


async def test_a_stream_that_closes_is_nobodys_at_once(stage: Stage) -> None:
    socket = stage.follow()
    await turns()
    stage.reload("1", Rights(read="nobody"))
    await turns()
    assert len(heard(socket, "revoked")) == 1


async def test_who_is_there_is_as_closed_as_the_stream(stage: Stage) -> None:
    socket = stage.follow(stream="chat.presence")
    await turns()
    stage.allowed["chat"] = False
    stage.reload("2")
    await turns()
    assert len(heard(socket, "revoked")) == 1


async def test_what_the_old_rule_is_asked_when_it_goes_is_asked_of_the_new_one(stage: Stage) -> None:
    stage.held = asyncio.Event()
    socket = stage.follow()
    await turns()
    stage.allowed["chat"] = False
    stage.reload("2")
    stage.held.set()
    await turns()
    (told,) = heard(socket, "error", "subscribed", "revoked")
    assert (told["code"], told["ended"]) == ("STREAM_ACCESS_DENIED", True)


async def test_who_cannot_be_asked_about_follows_no_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    socket = stage.follow()
    await turns()
    ruled_anew = stage.load("2")

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(stage.catalog, "followed", fails)
    stage.rejudging.begin(ruled_anew)
    await turns()
    (told,) = heard(socket, "revoked")
    assert told["code"] == "REVOKED"
    assert "could not be asked about" in caplog.text


async def test_what_was_ended_meanwhile_is_passed_over(stage: Stage) -> None:
    socket = stage.follow()
    await turns()
    stage.held = asyncio.Event()
    stage.allowed["chat"] = False
    stage.reload("2")
    await turns()
    stage.sessions[0].message('{"t":"unsub","sub":1}')
    stage.held.set()
    await turns()
    assert heard(socket, "revoked") == []


async def test_a_page_of_protocol_v0_leaves_its_room(stage: Stage) -> None:
    socket = HandSocket(1_000_000)
    parts = V0Wire(Stamps(stage.clock)), stage.realms.hub_of, stage.gate, stage.settings.socket
    session = V0Session(socket, *parts, observer=stage.ear)
    stage.sessions.append(session)
    join = {"type": "join", "data": {"subscriptionId": "s", "streamName": "chat", "groupId": "g"}}
    session.message(orjson.dumps(join).decode())
    await turns()
    socket.read(100)
    stage.allowed["chat"] = False
    stage.reload("2")
    await turns()
    assert stage.ear.codes[-1] == "REVOKED"
    assert b"may not follow" in b"".join(socket.read(100))
    await stage.set("a", GroupKey("chat", "g"))
    assert socket.read(100) == []
