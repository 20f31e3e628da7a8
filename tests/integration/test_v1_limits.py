"""Every fault and every limit of protocol v1 over real sockets, as tables: a clear answer, and nobody else
notices.

After each the socket goes on, where the case does not end it, and a neighbour sees the next change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from headwater.config import ServerSettings, Settings, SocketSettings, StorageSettings, StreamSettings
from headwater.errors import StoreUnavailable, TooMany
from headwater.model import GroupKey, Origin
from headwater.server.live.gate import NO, YES, Ask, Verdict
from headwater.streams.fanout import recovery
from support.socket_client import BINARY, TEXT, RawSocket, frame, text
from support.stream_store import turns
from support.v1_site import V1Site, v1_site
from support.v1_stage import ROOM, PresenceGate

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = Settings(
    server=ServerSettings(),
    socket=SocketSettings(
        max_frame_bytes=2000,
        frame_burst=10**9,
        max_subscriptions=4,
        max_id_bytes=30,
        max_state_bytes=60,
        high_water_bytes=50_000,
    ),
    streams=StreamSettings(),
    storage=StorageSettings(max_pending_bytes=10_000),
)
PROTOCOL: dict[str, str | None] = {"Sec-WebSocket-Protocol": "headwater.v1"}
NEVER_BEGAN = {"sub": 1, "ended": True}
LIVES_ON = {"sub": 1, "ended": None}


class Rules(PresenceGate):
    """Denies groups named secret and items named hidden. The rule of groups named broken fails."""

    def admit(self, ask: Ask) -> Any:
        super().admit(ask)
        if ask.group.group not in ("secret", "broken") and ask.item != "hidden":
            return YES
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        if ask.group.group == "broken":
            answer.set_exception(RuntimeError("the rule is broken"))
        else:
            answer.set_result(NO)
        return answer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncGenerator[V1Site]:
    async with v1_site(SETTINGS, Rules()) as site:
        await site.set("a", n=1)
        yield site


class Talk:
    """A client that says what it is told to."""

    def __init__(self, raw: RawSocket) -> None:
        self.raw = raw

    @classmethod
    async def open(cls, site: V1Site) -> Talk:
        talk = cls(await RawSocket.open(site.server.port, "/", PROTOCOL))
        hello = await talk.hear()
        assert (hello["t"], hello["epoch"]) == ("hello", site.store.epoch)
        assert hello["max"] == site.settings.socket.max_frame_bytes
        return talk

    def say(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            self.raw.send(text(message if isinstance(message, str) else orjson.dumps(message)))

    async def hear(self) -> dict[str, Any]:
        return await self.raw.message()

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Messages up to the first of a type."""
        heard = [await self.hear()]
        while heard[-1]["t"] != kind:
            heard.append(await self.hear())
        return heard

    async def follow(self, sub: int = 1, **members: Any) -> list[dict[str, Any]]:
        """Subscribe and become live."""
        self.say(sub_of(sub, **members))
        return await self.until("complete")


class Neighbour(Talk):
    """A client that follows the room and must notice nothing."""

    async def sees_the_next_change(self, site: V1Site) -> None:
        written = await site.set("a", n=1)
        while (heard := await self.hear())["t"] in ("set", "patch"):
            if heard["v"] == written.version:
                return
        raise AssertionError(f"the neighbour was told {heard}")


@pytest_asyncio.fixture(loop_scope="module")
async def talk(site: V1Site) -> AsyncGenerator[Talk]:
    talk = await Talk.open(site)
    yield talk
    await talk.raw.end()


@pytest_asyncio.fixture(loop_scope="module")
async def neighbour(site: V1Site) -> AsyncGenerator[Neighbour]:
    neighbour = Neighbour((await Talk.open(site)).raw)
    await neighbour.follow(7)
    yield neighbour
    await neighbour.raw.end()


def sub_of(sub: Any = 1, **members: Any) -> dict[str, Any]:
    return {"t": "sub", "sub": sub, "stream": "chat", "group": "room"} | members


def state_of(state: dict[str, Any]) -> dict[str, Any]:
    return {"t": "state", "sub": 1, "state": state}


class Case(NamedTuple):
    """What a client says, and what the error that answers the last of it holds (None: not there)."""

    name: str
    said: Sequence[dict[str, Any] | str]
    code: str
    told: dict[str, Any] = {}  # noqa: RUF012


def fault(name: str, said: dict[str, Any], field: str, **told: Any) -> Case:
    return Case(name, [said], "PROTOCOL_FAULT", {"field": field} | told)


LONG = "é" * 16
LARGE = {"name": "x" * 60}
DEEP = '{"t":"%s","sub":1,"stream":"chat","group":"room","state":' + '{"a":' * 300 + "1" + "}" * 301
MORE = {"t": "more", "sub": 1, "limit": 1}
CASES = [
    *[
        Case(f"no message: {said[:20]}", [said], "PROTOCOL_FAULT", {"sub": None, "ended": None})
        for said in ("", "hello", "{", "[]", "1", "null", '"sub"', "{}", '{"t":1}', '{"t":["sub"]}')
    ],
    Case("deep nesting", ['{"t":' * 300 + "1" + "}" * 300], "PROTOCOL_FAULT"),
    Case("a lone surrogate", ['{"t":"sub","sub":1,"stream":"\\ud800","group":"room"}'], "PROTOCOL_FAULT"),
    fault("an unknown type", {"t": "subscribe", "sub": 1}, "t", sub=None),
    *[
        fault(f"sub without {member}", {k: v for k, v in sub_of().items() if k != member}, member)
        for member in ("sub", "stream", "group")
    ],
    *[fault(f"the number {sub!r}", sub_of(sub), "sub") for sub in ("1", 1.5, -1, True, 2**53)],
    fault("an empty stream", sub_of(stream=""), "stream", **NEVER_BEGAN),
    fault("a group that is no text", sub_of(group=7), "group", **NEVER_BEGAN),
    fault("a stream's name too long", sub_of(stream=LONG), "stream", limit=30, **NEVER_BEGAN),
    fault("a group's id too long", sub_of(group=LONG), "group", limit=30, **NEVER_BEGAN),
    fault("an item's id too long", sub_of(id=LONG), "id", limit=30, **NEVER_BEGAN),
    fault("an empty id", sub_of(id=""), "id", **NEVER_BEGAN),
    fault("a window of nothing", sub_of(limit=0), "limit", **NEVER_BEGAN),
    fault("a window of a half", sub_of(limit=0.5), "limit", **NEVER_BEGAN),
    fault("a floor below all", sub_of(limit=1, floor=-1), "floor", **NEVER_BEGAN),
    fault("a cursor that is no object", sub_of(**{"from": "e.1"}), "from", **NEVER_BEGAN),
    fault("a cursor without an epoch", sub_of(**{"from": {"v": 1}}), "from.epoch", **NEVER_BEGAN),
    fault("a cursor without a version", sub_of(**{"from": {"epoch": "e"}}), "from.v", **NEVER_BEGAN),
    fault("a cursor below all", sub_of(**{"from": {"epoch": "e", "v": -1}}), "from.v", **NEVER_BEGAN),
    fault("a state that is no object", sub_of(state=[1]), "state", **NEVER_BEGAN),
    fault("unsub without a number", {"t": "unsub"}, "sub"),
    fault("more without a limit", {"t": "more", "sub": 1}, "limit"),
    fault("more of nothing", {"t": "more", "sub": 1, "limit": 0}, "limit"),
    fault("state without one", {"t": "state", "sub": 1}, "state"),
    *[
        fault(f"{kind} without a number", {"t": kind}, "ask")
        for kind in ("auth", "set", "update", "delete", "send")
    ],
    Case("an unknown stream", [sub_of(stream="none")], "STREAM_UNKNOWN", NEVER_BEGAN | {"stream": "none"}),
    Case("presence of no stream", [sub_of(stream="none.presence")], "STREAM_UNKNOWN", NEVER_BEGAN),
    Case("a group that is denied", [sub_of(group="secret")], "STREAM_ACCESS_DENIED", NEVER_BEGAN),
    Case("an item that is denied", [sub_of(id="hidden")], "STREAM_ACCESS_DENIED", NEVER_BEGAN),
    Case("presence of a group that is denied",
         [sub_of(stream="chat.presence", group="secret")], "STREAM_ACCESS_DENIED", NEVER_BEGAN),
    Case("a rule that fails", [sub_of(group="broken")], "STREAM_ACCESS_DENIED", NEVER_BEGAN),
    Case("a state without presence", [sub_of(stream="news", state={})], "INVALID_INPUT", NEVER_BEGAN),
    Case("a state too large", [sub_of(state=LARGE)], "TOO_LARGE", NEVER_BEGAN | {"limit": 60}),
    Case("a state nested too deeply", [DEEP % "sub"], "INVALID_INPUT", NEVER_BEGAN),
    Case("a new state nested too deeply", [sub_of(state={}), DEEP % "state"], "INVALID_INPUT", LIVES_ON),
    Case("a number that is open", [sub_of(), sub_of(group="other")], "INVALID_INPUT", {"ended": None}),
    Case("one subscription too many",
         [sub_of(n) for n in range(2, 6)] + [sub_of(1)], "TOO_MANY", NEVER_BEGAN | {"limit": 4}),
    Case("more of one that is not open", [MORE], "INVALID_INPUT", LIVES_ON),
    Case("more of one that is no window", [sub_of(), MORE], "INVALID_INPUT", LIVES_ON),
    Case("a state of one that is not open", [state_of({})], "INVALID_INPUT", LIVES_ON),
    Case("a state of one that is not present", [sub_of(), state_of({})], "INVALID_INPUT", LIVES_ON),
    Case("a new state too large", [sub_of(state={}), state_of(LARGE)], "TOO_LARGE", LIVES_ON),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_each_fault_is_told_and_harms_nobody(
    site: V1Site, talk: Talk, neighbour: Neighbour, case: Case
) -> None:
    talk.say(*case.said)
    heard = (await talk.until("error"))[-1]
    assert heard["code"] == case.code
    assert heard["message"]
    assert {name: heard.get(name) for name in case.told} == case.told

    talk.say({"t": "ping"})
    await talk.until("pong")
    if not heard.get("ended"):
        talk.say({"t": "unsub", "sub": 1})
    for sub in range(2, 6):
        talk.say({"t": "unsub", "sub": sub})
    assert (await talk.follow(1))[-1]["sub"] == 1, "what was refused can be asked for again"
    await neighbour.sees_the_next_change(site)


async def test_a_number_can_be_used_again_at_once(site: V1Site, talk: Talk) -> None:
    """Amid a catch-up too: after the second `subscribed` nothing of the first comes."""
    other = GroupKey("chat", "other")
    await site.set("b", other, n=1)
    site.store.holds.add("read")
    talk.say(sub_of(1))
    await talk.until("subscribed")
    talk.say({"t": "unsub", "sub": 1}, sub_of(1, group="other"))
    await talk.until("subscribed")
    await site.store.release()
    heard = await talk.until("complete")
    await site.set("a", n=1)
    await site.set("b", other, n=2)
    heard.append(await talk.hear())

    assert [one["t"] for one in heard] == ["page", "complete", "set"]
    assert heard[0]["items"][0][2]["g"] == list(other)
    assert heard[-1]["d"]["g"] == list(other)


class Ending(NamedTuple):
    """What a client sends that ends its socket, and with which code."""

    name: str
    sent: bytes
    code: int


ENDINGS = [
    Ending("a message too large", text(orjson.dumps(sub_of(state={"x": "y" * 2000}))), 1009),
    Ending("fragments too large together", text("x" * 1500, fin=False) + frame(0, b"x" * 1500), 1009),
    Ending("a binary message", frame(BINARY, b"{}"), 1003),
    Ending("bytes that are no text", text(b'{"t":"\xff"}'), 1007),
    Ending("an unmasked message", frame(TEXT, b"{}", masked=False), 1002),
]


@pytest.mark.parametrize("case", ENDINGS, ids=[case.name for case in ENDINGS])
async def test_each_frame_that_ends_a_socket_ends_only_that(
    site: V1Site, talk: Talk, neighbour: Neighbour, case: Ending
) -> None:
    await talk.follow(1, state={"name": "Ada"})
    talk.raw.send(case.sent)
    assert await talk.raw.closed() == case.code
    await neighbour.sees_the_next_change(site)
    watching = await Talk.open(site)
    heard = await watching.follow(1, stream="chat.presence")
    present = {data["id"] for one in heard for *_, data in one.get("items", [])}
    present -= {gone for one in heard for _, gone in one.get("gone", [])}
    assert present == set(), "its presence is gone with it"
    await watching.raw.end()


class Resuming(NamedTuple):
    """A cursor or a window that does not fit, and the reasons for which the client is told to start over."""

    name: str
    members: dict[str, Any]
    reasons: list[str]


CURSORS = [
    Resuming("another epoch", {"from": {"epoch": "other", "v": 1}}, ["epoch"]),
    Resuming("another epoch, at nothing", {"from": {"epoch": "", "v": 0}}, ["epoch"]),
    Resuming("ahead of the store", {"from": {"epoch": "{epoch}", "v": 2**53 - 1}}, ["ahead"]),
    Resuming("the beginning", {"from": {"epoch": "{epoch}", "v": 0}}, []),
    Resuming("older than the deletes remembered", {"from": {"epoch": "{epoch}", "v": 1}}, ["expired"]),
    Resuming("a window ahead", {"limit": 1, "floor": 9, "from": {"epoch": "{epoch}", "v": 2**50}}, ["ahead"]),
    Resuming("a window larger than any", {"limit": 2**53 - 1}, []),
    Resuming("a floor without a window", {"floor": 2**53 - 1}, []),
    Resuming("an item ahead", {"id": "kept", "from": {"epoch": "{epoch}", "v": 2**50}}, ["ahead"]),
]


@pytest.mark.parametrize("case", CURSORS, ids=[case.name for case in CURSORS])
async def test_each_cursor_leads_to_the_state(
    site: V1Site, talk: Talk, neighbour: Neighbour, case: Resuming
) -> None:
    group = GroupKey("chat", "cursors")
    await site.set("kept", group, n=1)
    await site.set("gone", group, n=2)
    await site.delete("gone", group)
    await site.store.sweep(now=1e13, tombstone_age=0)
    members = orjson.loads(orjson.dumps(case.members).replace(b"{epoch}", site.store.epoch.encode()))

    heard = await talk.follow(1, group="cursors", **members)

    assert [one["reason"] for one in heard if one["t"] == "reset"] == case.reasons
    assert [data["id"] for one in heard for *_, data in one.get("items", [])] == ["kept"]
    await neighbour.sees_the_next_change(site)


async def test_a_store_that_cannot_be_read_is_told_and_tried_again(
    site: V1Site, talk: Talk, neighbour: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RETRY_SECONDS", 0.01)
    site.store.faults["read"] = StoreUnavailable("The disk is gone.")
    stream = await site.listen("/streams/chat/unread")
    talk.say(sub_of(group="unread"))
    told = [(await talk.until("error"))[-1], (await stream.until("error"))[-1].data]
    plain = await site.get("/streams/chat/unread")
    await neighbour.sees_the_next_change(site)
    site.store.faults.clear()

    assert [(one["code"], one.get("ended")) for one in told] == [("STORE_UNAVAILABLE", None)] * 2
    assert (plain.status, plain.json["code"]) == (503, "STORE_UNAVAILABLE")
    await talk.until("complete")
    await stream.until("complete")
    assert (await site.get("/streams/chat/unread")).status == 200


async def test_writes_that_wait_are_bounded_and_those_taken_arrive(
    site: V1Site, neighbour: Neighbour
) -> None:
    site.store.holds.add("commit")
    data = orjson.dumps({"g": list(ROOM)})
    writes = [site.writer.set(*ROOM, f"p{n}", data, origin=Origin()) for n in range(20)]
    await turns()
    refused = [one for one in writes if one.done() and isinstance(one.exception(), TooMany)]
    taken = [one for one in writes if one not in refused]
    assert refused
    assert taken
    told: Any = refused[0].exception()
    assert (told.details["limit"], "max_pending_bytes" in told.hint) == (10_000, True)
    await site.store.release()
    written = {(await one).id for one in taken}

    assert {(await neighbour.hear())["d"]["id"] for _ in taken} == written


async def test_a_client_that_reads_no_answers_costs_a_bounded_amount(
    site: V1Site, talk: Talk, neighbour: Neighbour
) -> None:
    (there,) = [one for one in site.opening.sockets if one.transport.get_extra_info("peername")
                == talk.raw.writer.get_extra_info("sockname")]  # fmt: skip
    talk.raw.deafen()
    shout = text('{"t":"%s"}' % ("x" * 1000)) * 10
    async with asyncio.timeout(60):
        while not there.is_full:
            if not talk.raw.writer.transport.get_write_buffer_size():
                talk.raw.send(shout)
            await asyncio.sleep(0)
    await neighbour.sees_the_next_change(site)
    assert there.transport.get_write_buffer_size() < 20 * len(shout) + 50_000
    talk.raw.listen()
    talk.say(sub_of(1))
    await talk.until("complete")


PATHS = [
    ("an unknown stream", "/none/room", 404, "STREAM_UNKNOWN"),
    ("presence of no stream", "/none.presence/room", 404, "STREAM_UNKNOWN"),
    ("a group that is denied", "/chat/secret", 403, "STREAM_ACCESS_DENIED"),
    ("an item that is denied", "/chat/room/hidden", 403, "STREAM_ACCESS_DENIED"),
    ("a rule that fails", "/chat/broken", 403, "STREAM_ACCESS_DENIED"),
    ("a stream's name too long", f"/{quote(LONG)}/room", 400, "INVALID_INPUT"),
    ("a group's id too long", f"/chat/{quote(LONG)}", 400, "INVALID_INPUT"),
    ("an item's id too long", f"/chat/room/{quote(LONG)}", 400, "INVALID_INPUT"),
    ("a query's id too long", f"?stream=chat&group={quote(LONG)}", 400, "INVALID_INPUT"),
    ("no group", "/chat", 404, "ROUTE_UNKNOWN"),
    ("an empty group", "/chat//a", 400, "INVALID_INPUT"),
    ("a window of nothing", "/chat/room?limit=0", 400, "INVALID_INPUT"),
    ("a window of words", "/chat/room?limit=all", 400, "INVALID_INPUT"),
    ("a window below nothing", "/chat/room?limit=1&before=-1", 400, "INVALID_INPUT"),
]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize(
    ("path", "status", "code"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS]
)
async def test_each_fault_over_plain_http_is_told_and_harms_nobody(
    site: V1Site, neighbour: Neighbour, accept: str, path: str, status: int, code: str
) -> None:
    answer = await site.get(f"/streams{path}", {"Accept": accept})

    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    await neighbour.sees_the_next_change(site)


async def test_there_are_only_so_many_connections() -> None:
    """A few beyond the limit are told so; those that are far beyond it are cut."""
    async with v1_site(Settings(server=ServerSettings(max_connections=40))) as site:
        talks = [await Talk.open(site) for _ in range(40)]
        raw = await RawSocket.connect(site.server.port)
        assert (await raw.shake("/", PROTOCOL)).status == 503
        for accept in ("application/json", "text/event-stream"):
            answer = await site.get("/streams/chat/room", {"Accept": accept})
            assert (answer.status, answer.json["code"]) == (503, "OVERLOADED")
        await talks[0].follow()
        for one in [*(talk.raw for talk in talks), raw]:
            await one.end()
        async with asyncio.timeout(60):
            while (await site.get("/streams/chat/room")).status != 200:
                await asyncio.sleep(0.01)
