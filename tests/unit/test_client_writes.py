"""What clients write without a step: judged with the item as it is and as it would be, and committed upon
what was judged; by sessions of protocol v1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import orjson
import pytest

from headwater.config import SocketSettings, StreamSettings
from headwater.errors import HeadwaterError, Unauthenticated
from headwater.model import Origin, Terms
from headwater.observe import Observer
from headwater.peer import NOBODY, Peer
from headwater.server.live.client_writes import MOST_TRIES
from headwater.server.live.gate import StreamGate
from headwater.server.live.session_v1 import V1Session
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import Catalog, Rights, StreamRules, Verb
from support.stream_store import turns
from support.v1_client import HandSocket
from support.v1_stage import V1Stage

ADA = Peer("websocket", identity="ada", context=b'{"user":"ada"}')
BOB = Peer("websocket", identity="bob", context=b'{"user":"bob"}')
RULED = Rights(write="rule", delete="rule", send="rule")
OPEN = Rights(write="open", delete="open", send="open")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}

Rule = Callable[[Verb, Any, Any], Any]


class Ear(Observer):
    def __init__(self) -> None:
        self.codes: list[str] = []
        self.limits: list[str] = []

    def refused(self, peer: Peer, error: HeadwaterError) -> None:
        self.codes.append(error.code)

    def limited(self, setting: str, value: float) -> None:
        self.limits.append(setting)


class Stage(V1Stage):
    """`chat` is under a rule, `open` is everybody's, `shut` nobody's, `drop` may be written and not read."""

    def __init__(self, ear: Ear, socket: SocketSettings, streams: StreamSettings) -> None:
        self.asked: list[Any] = []
        self.rule: Rule = lambda _verb, _change, auth: auth == {"user": "ada"}
        self.catalog = Catalog()
        super().__init__(MemoryStore(), socket=socket, streams=streams, observer=ear)
        self.gate = StreamGate(self.catalog, self._answer, ear)
        self.writes._gate = self.gate

    async def _answer(
        self,
        stream: str,
        group: str,
        item: str | None,
        auth: bytes | None,
        verb: Verb,
        change: bytes | None,
    ) -> bool:
        told = None if change is None else orjson.loads(change)
        self.asked.append((verb, told))
        answer = self.rule(verb, told, None if auth is None else orjson.loads(auth))
        return await answer if isinstance(answer, Awaitable) else answer

    def declare(self, **chat: Any) -> None:
        self.catalog.declare(
            [
                StreamRules(name="chat", schema=SCHEMA, rights=RULED, presence=True),
                StreamRules(name="open", schema=SCHEMA, rights=OPEN),
                StreamRules(name="shut"),
                StreamRules(name="drop", schema=SCHEMA, rights=Rights(read="nobody", write="open")),
            ]
        )

    def client(self, peer: Peer = ADA) -> Client:
        return Client(self, peer)


class Client:
    """One socket that says what it likes."""

    def __init__(self, stage: Stage, peer: Peer) -> None:
        self.socket = HandSocket(1_000_000)
        self.session = V1Session(
            self.socket,
            stage.streams,
            stage.presence,
            stage.gate,
            stage.settings.socket,
            peer,
            observer=stage.observer,
            writes=stage.writes,
        )
        self.number = 0
        self.heard: list[dict[str, Any]] = []

    def say(self, kind: str, item: str | None = "a", **members: Any) -> int:
        self.number += 1
        named = {} if item is None else {"id": item}
        whole = {"t": kind, "ask": self.number, "stream": "chat", "group": "g", **named, **members}
        self.session.message(orjson.dumps(whole).decode())
        return self.number

    def set(self, item: str = "a", n: Any = 1, **members: Any) -> int:
        return self.say("set", item, d={"n": n}, **members)

    def add(self, item: str = "a", **members: Any) -> int:
        return self.say("update", item, ops=[{"type": "increment", "path": "n"}], **members)

    def hear(self) -> None:
        self.heard += [orjson.loads(payload) for payload in self.socket.read(10_000)]

    async def answer(self, ask: int) -> dict[str, Any]:
        """The answer to a question, without its number."""
        for _ in range(10_000):
            self.hear()
            for told in self.heard:
                if told.get("ask") == ask:
                    return {name: value for name, value in told.items() if name not in ("ask", "message")}
            await asyncio.sleep(0)
        raise AssertionError(f"{ask} was not answered")

    async def code(self, ask: int) -> str:
        return (await self.answer(ask)).get("code", "ok")


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
async def stage(ear: Ear) -> AsyncGenerator[Stage]:
    stage = Stage(ear, SocketSettings(max_writes=20), StreamSettings(max_judged_bytes=100_000))
    yield stage
    await stage.close()


async def items(stage: Stage, stream: str = "chat") -> dict[str, Any]:
    found = await stage.writer.get_group(stream, "g")
    return {one.id: orjson.loads(one.data)["n"] for one in found}


OK = {"t": "ok"}


async def test_a_write_is_judged_with_the_item_as_it_is_and_as_it_would_be(stage: Stage) -> None:
    client = stage.client()
    assert await client.answer(client.set(n=1)) == {**OK, "v": 1}
    assert await client.answer(client.add()) == {**OK, "v": 2}
    assert await client.answer(client.say("delete")) == {**OK, "v": 3}
    assert await client.answer(client.say("delete")) == OK
    one, two = {"id": "a", "n": 1}, {"id": "a", "n": 2}
    names = {"groupId": "g", "id": "a"}
    assert stage.asked == [
        ("write", {**names, "type": "set", "old": None, "new": one}),
        ("write", {**names, "type": "update", "old": one, "new": two}),
        ("delete", {**names, "type": "delete", "old": two, "new": None}),
        ("delete", {**names, "type": "delete", "old": None, "new": None}),
    ]


async def test_what_the_rule_refuses_is_not_written(stage: Stage, ear: Ear) -> None:
    bob = stage.client(BOB)
    for ask in (bob.set(), bob.add(), bob.say("delete"), bob.say("send", e={"type": "x"})):
        assert await bob.code(ask) == "STREAM_ACCESS_DENIED"
    assert await items(stage) == {}
    assert ear.codes == ["STREAM_ACCESS_DENIED"] * 4


@pytest.mark.parametrize("answer", [1, "yes", None, [True], {}, RuntimeError("broken")])
async def test_only_exactly_true_writes(stage: Stage, answer: Any) -> None:
    def rule(*_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    stage.rule = rule
    client = stage.client()
    assert await client.code(client.set()) != "ok"
    assert await items(stage) == {}


async def test_nobody_writes_where_nothing_is_declared(stage: Stage) -> None:
    client = stage.client()
    for stream in ("shut", "chat.presence"):
        for ask in (
            client.set(stream=stream),
            client.add(stream=stream),
            client.say("delete", stream=stream),
            client.say("send", e={"type": "x"}, stream=stream),
        ):
            assert await client.code(ask) == "STREAM_ACCESS_DENIED"
    assert await client.code(client.set(stream="none")) == "STREAM_UNKNOWN"
    assert stage.asked == []


async def test_an_open_stream_costs_no_question_and_no_task(stage: Stage) -> None:
    client = stage.client(NOBODY)
    tasks = len(asyncio.all_tasks())
    asks = [client.set(str(n), n, stream="open") for n in range(10)]
    assert len(asyncio.all_tasks()) <= tasks + 1  # the commit
    for n, ask in enumerate(asks):
        assert await client.answer(ask) == {**OK, "v": n + 1}
    assert stage.asked == []


async def test_the_schema_holds_before_the_rule_is_asked(stage: Stage) -> None:
    client = stage.client()
    refused = await client.answer(client.set(n="one"))
    assert (refused["code"], refused["faults"][0]["field"]) == ("SCHEMA_MISMATCH", "n")
    await client.answer(client.set())
    ops = [{"type": "set", "path": "n", "value": "one"}]
    assert await client.code(client.say("update", ops=ops)) == "SCHEMA_MISMATCH"
    assert await client.code(client.set(n="one", stream="open")) == "SCHEMA_MISMATCH"
    assert len(stage.asked) == 1


async def test_followers_get_a_clients_write_as_any_other(stage: Stage) -> None:
    client, other = stage.client(), stage.client(BOB)
    for one in (client, other):
        one.session.message('{"t":"sub","sub":1,"stream":"chat","group":"g"}')
    await turns()
    await client.answer(client.set(n=5))
    await client.answer(client.say("send", e={"type": "seen", "data": 1}))
    await client.answer(client.say("send", None, e={"type": "seen"}))
    await turns()
    for one in (client, other):
        one.hear()
        assert [told["d"] for told in one.heard if told["t"] == "set"] == [{"id": "a", "n": 5}]
        events = [told for told in one.heard if told["t"] == "event"]
        assert [(told.get("i"), told["e"]) for told in events] == [
            ("a", {"type": "seen", "data": 1}),
            (None, {"type": "seen", "data": None}),
        ]
    assert [change for verb, change in stage.asked if verb == "send"] == [
        {"groupId": "g", "id": "a", "event": {"type": "seen", "data": 1}},
        {"groupId": "g", "id": None, "event": {"type": "seen", "data": None}},
    ]


# --- versions ---


async def test_a_rule_is_asked_again_where_others_wrote_meanwhile(stage: Stage) -> None:
    held, seen = asyncio.Event(), []

    async def rule(verb: Verb, change: Any, auth: Any) -> bool:
        seen.append(change["old"])
        if len(seen) == 1:
            held.set()
            await stage.writer.set("chat", "g", "a", b'{"n": 7}', origin=Origin())
        return True

    stage.rule = rule
    client = stage.client()
    ask = client.add()
    await held.wait()
    assert await client.answer(ask) == {**OK, "v": 2}
    assert seen == [None, {"id": "a", "n": 7}]
    assert await items(stage) == {"a": 8}


async def test_a_rule_that_says_no_to_what_came_between_refuses(stage: Stage) -> None:
    async def rule(verb: Verb, change: Any, auth: Any) -> bool:
        if change["old"] is None:
            await stage.writer.set("chat", "g", "a", b'{"n": 7}', origin=Origin())
        return change["old"] is None

    stage.rule = rule
    client = stage.client()
    assert await client.code(client.set()) == "STREAM_ACCESS_DENIED"
    assert await items(stage) == {"a": 7}


async def test_an_item_that_others_write_each_time_is_a_conflict_in_the_end(stage: Stage) -> None:
    async def rule(verb: Verb, change: Any, auth: Any) -> bool:
        await stage.writer.set("chat", "g", "a", b'{"n": 7}', origin=Origin())
        return True

    stage.rule = rule
    client = stage.client()
    assert await client.code(client.set()) == "CONFLICT"
    assert await items(stage) == {"a": 7}
    assert len(stage.asked) == MOST_TRIES


@pytest.mark.parametrize("stream", ["chat", "open"])
async def test_a_write_may_want_a_version(stage: Stage, stream: str) -> None:
    client, epoch = stage.client(), stage.store.epoch

    def set_if(epoch: str | None, v: int) -> int:
        wanted = {"v": v} if epoch is None else {"epoch": epoch, "v": v}
        return client.set(stream=stream, **{"if": wanted})

    missing = await client.answer(set_if(epoch, 3))
    assert (missing["code"], missing["version"]) == ("CONFLICT", 0)
    assert await client.answer(set_if(None, 0)) == {**OK, "v": 1}
    there = await client.answer(set_if(None, 0))
    assert (there["code"], there["version"]) == ("CONFLICT", 1)
    foreign = await client.answer(set_if("another", 1))
    assert (foreign["code"], foreign.get("version")) == ("CONFLICT", None)
    assert await client.answer(set_if(epoch, 1)) == {**OK, "v": 2}


async def test_who_may_not_write_learns_no_version(stage: Stage) -> None:
    await stage.writer.set("chat", "g", "a", b'{"n": 1}', origin=Origin())
    bob = stage.client(BOB)
    refused = await bob.answer(bob.set(**{"if": {"v": 0}}))
    assert (refused["code"], "version" in refused) == ("STREAM_ACCESS_DENIED", False)


async def test_who_may_not_read_learns_nothing_of_an_item_that_operations_do_not_fit(stage: Stage) -> None:
    await stage.writer.set("drop", "g", "a", b'{"n": 1, "secret": "s3cret"}', origin=Origin())
    client = stage.client()
    for ops in (
        [{"type": "increment", "path": "secret"}],
        [{"type": "set", "path": "n", "value": "s3cret"}],
    ):
        refused = await client.answer(client.say("update", stream="drop", ops=ops))
        assert refused["code"] == "INVALID_INPUT"
        assert "secret" not in str(refused)
    fault = await client.answer(client.say("update", stream="drop", ops=[{"type": "nonsense"}]))
    assert "nonsense" in client.heard[-1]["message"], fault


# --- keys ---


@pytest.mark.parametrize("stream", ["chat", "open"])
async def test_a_key_writes_once(stage: Stage, stream: str) -> None:
    client = stage.client()
    for _ in range(2):
        assert await client.answer(client.add(stream=stream, key="k1")) == {**OK, "v": 1}
    assert await items(stage, stream) == {"a": 1}
    assert await client.answer(client.add(stream=stream, key="k2")) == {**OK, "v": 2}


async def test_a_key_is_answered_as_the_first_was_though_its_rule_refuses_by_now(stage: Stage) -> None:
    stage.rule = lambda _verb, change, _auth: change["old"] is None
    client, again = stage.client(), stage.client()
    assert await client.answer(client.set(key="k")) == {**OK, "v": 1}
    assert await again.answer(again.set(key="k")) == {**OK, "v": 1}
    assert await again.answer(again.set(key="k", **{"if": {"v": 0}})) == {**OK, "v": 1}
    assert await again.answer(again.set(key="k", **{"if": {"epoch": "x", "v": 3}})) == {**OK, "v": 1}
    assert await again.code(again.set(key="other")) == "STREAM_ACCESS_DENIED"


async def test_a_key_that_was_refused_is_not_used_up(stage: Stage) -> None:
    client = stage.client()
    stage.rule = lambda *_: False
    assert await client.code(client.set(key="k")) == "STREAM_ACCESS_DENIED"
    stage.rule = lambda *_: True
    assert await client.answer(client.set(key="k")) == {**OK, "v": 1}


async def test_a_key_is_a_users_own_and_no_steps(stage: Stage) -> None:
    stage.rule = lambda *_: True
    ada, bob = stage.client(ADA), stage.client(BOB)
    assert await ada.answer(ada.set("a", key="k")) == {**OK, "v": 1}
    assert await bob.answer(bob.set("b", key="k")) == {**OK, "v": 2}
    step = await stage.writer.set("chat", "g", "c", b'{"n": 1}', terms=Terms(key="k"), origin=Origin())
    assert step.version == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((None, b'{"tenant":"a"}', "k"), (None, b'{"tenant":"b"}', "k")),
        ((None, b'{"tenant":"a"}', "k"), (None, None, "k")),
        (("ada\0b", b"{}", "k"), ("ada", b"{}", "b\0k")),
        (("", b"{}", "k"), (None, None, "k")),
    ],
)
async def test_no_key_of_one_client_is_anothers(
    stage: Stage, one: tuple[str | None, bytes | None, str], other: tuple[str | None, bytes | None, str]
) -> None:
    stage.rule = lambda *_: True
    for version, (identity, context, key) in enumerate((one, other), 1):
        client = stage.client(Peer("websocket", identity=identity, context=context))
        assert await client.answer(client.set("a", key=key)) == {**OK, "v": version}


async def test_a_key_is_repeated_with_a_newer_token_of_somebody_without_a_name(stage: Stage) -> None:
    stage.rule = lambda *_: True
    for context in (b'{"tenant":"a","exp":1,"jti":"x"}', b'{"iat":2,"exp":3,"tenant":"a"}'):
        client = stage.client(Peer("websocket", context=context))
        assert await client.answer(client.set("a", key="k")) == {**OK, "v": 1}


# --- order and limits ---


async def test_writes_of_a_client_to_a_group_take_effect_as_they_were_sent(stage: Stage) -> None:
    first = asyncio.Event()

    async def rule(verb: Verb, change: Any, auth: Any) -> bool:
        if len(stage.asked) == 1:
            await first.wait()
        return True

    stage.rule = rule
    client = stage.client()
    asks = [client.set(n=1), client.add(), client.say("send", e={"type": "x"}), client.set(n=9)]
    aside = client.set(group="aside")
    assert await client.answer(aside) == {**OK, "v": 1}  # Another group waits for nobody.
    assert len(stage.asked) == 2
    first.set()
    assert [await client.answer(ask) for ask in asks] == [{**OK, "v": 1}, {**OK, "v": 2}, OK, {**OK, "v": 3}]
    assert await items(stage) == {"a": 9}


async def test_a_client_has_so_many_writes_under_way(stage: Stage, ear: Ear) -> None:
    go_on = asyncio.Event()

    async def rule(*_: Any) -> bool:
        await go_on.wait()
        return True

    stage.rule = rule
    client = stage.client()
    asks = [client.set(str(n), group=f"g{n % 3}") for n in range(20)]
    refused = await client.answer(client.set("one more"))
    assert (refused["code"], refused["limit"]) == ("TOO_MANY", 20)
    go_on.set()
    assert [await client.code(ask) for ask in asks] == ["ok"] * 20
    assert await client.code(client.set("later")) == "ok"
    assert ear.limits == ["socket.max_writes"]


async def test_so_much_waits_for_rules(stage: Stage, ear: Ear) -> None:
    go_on = asyncio.Event()

    async def rule(*_: Any) -> bool:
        await go_on.wait()
        return True

    stage.rule = rule
    clients = [stage.client() for _ in range(10)]
    # One of them waits in order, the others each for the rule.
    asks = [(client, client.say("set", str(n), d={"x": "x" * 20_000})) for n, client in enumerate(clients)]
    asks.append((clients[0], clients[0].say("set", "y", d={"x": "x" * 20_000})))
    await turns()
    go_on.set()
    codes = [await client.code(ask) for client, ask in asks]
    assert codes.count("ok") == 4  # of 100 000 bytes, each with what it costs beside
    assert codes.count("TOO_MANY") == 7
    assert ear.limits == ["streams.max_judged_bytes"] * 7
    assert await clients[9].code(clients[9].set("later")) == "ok"


async def test_what_was_sent_is_carried_out_though_the_client_leaves(stage: Stage) -> None:
    client, other = stage.client(), stage.client()
    for n in range(3):
        client.set(str(n), n)
    client.session.closed()
    await turns()
    while len(await items(stage)) < 3:
        await asyncio.sleep(0)
    assert await items(stage) == {"0": 0, "1": 1, "2": 2}
    client.hear()
    assert [told["t"] for told in client.heard] == ["hello"]
    assert await other.code(other.set("x")) == "ok"


async def test_a_write_without_its_store_says_so(stage: Stage) -> None:
    await stage.durable.queue.close()
    client = stage.client()
    for stream in ("chat", "open"):
        assert await client.code(client.set(stream=stream)) == "STORE_UNAVAILABLE"


async def test_a_write_is_somebodys_and_sets_off_what_a_write_sets_off(stage: Stage) -> None:
    origins: list[Origin] = []

    def reason(write: Any) -> None:
        origins.append(write.origin)

    stage.durable.queue.reason = reason
    client = stage.client()
    await client.answer(client.set())
    assert [(origin.auth, origin.step) for origin in origins] == [(ADA.context, "")]


async def test_nobody_writes_with_a_token_that_has_ended(stage: Stage) -> None:
    held = asyncio.Event()

    async def rule(*_: Any) -> bool:
        await held.wait()
        return True

    stage.rule = rule
    client = stage.client()
    begun, behind = client.set("begun"), client.set("behind")
    await turns()
    client.session.expired()
    held.set()
    assert await client.code(begun) == "ok"
    assert await client.code(behind) == "TOKEN_EXPIRED"
    for ask in (client.set("later"), client.set(stream="open"), client.say("send", e={"type": "x"})):
        assert await client.code(ask) == "TOKEN_EXPIRED"
    assert list(await items(stage)) == ["begun"]


async def test_who_is_sent_away_begins_no_write_that_waits(stage: Stage) -> None:
    """A client is sent away where who it is may hold no longer: its tokens were revoked."""
    held = asyncio.Event()

    async def rule(*_: Any) -> bool:
        await held.wait()
        return True

    stage.rule = rule
    client = stage.client()
    for item in ("begun", "behind"):
        client.set(item)
    await turns()
    client.session.send_away()
    client.session.closed()
    held.set()
    while not await items(stage):
        await asyncio.sleep(0)
    await turns()
    assert list(await items(stage)) == ["begun"]
    assert len(stage.asked) == 1


async def test_a_fault_of_ours_holds_up_no_write_behind_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begin, held = stage.writes.begin, asyncio.Event()

    async def rule(*_: Any) -> bool:
        await held.wait()
        return True

    def breaks(peer: Peer, wanted: Any) -> Any:
        if wanted.item == "broken":
            raise RuntimeError("a fault of ours")
        return begin(peer, wanted)

    monkeypatch.setattr(stage.writes, "begin", breaks)
    stage.rule = rule
    client = stage.client()
    asks = [client.set(item) for item in ("a", "broken", "c")]
    held.set()
    assert [await client.code(ask) for ask in asks] == ["ok", "INTERNAL", "ok"]
    assert "could not be written" in caplog.text
    assert stage.writes._held == 0


async def test_no_two_users_share_a_key_however_they_are_spelled(stage: Stage) -> None:
    one = stage.client(Peer("websocket", identity="a", context=b'{"user":"ada"}'))
    other = stage.client(Peer("websocket", identity="a\0b", context=b'{"user":"ada"}'))
    assert await one.answer(one.set(n=1, key="b\0c")) == {**OK, "v": 1}
    assert await other.answer(other.set(n=2, key="c")) == {**OK, "v": 2}


@pytest.mark.parametrize("kind", ["set", "send"])
async def test_nobody_writes_whose_token_is_revoked_while_its_rule_is_asked(stage: Stage, kind: str) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    revoked = False

    async def rule(*_: Any) -> bool:
        asked.set()
        await go_on.wait()
        return True

    stage.rule = rule
    stage.writes._fault_of = lambda peer: Unauthenticated("revoked") if revoked and peer is ADA else None
    client = stage.client()
    ask = client.set() if kind == "set" else client.say("send", e={"type": "x"})
    await asked.wait()
    revoked = True
    go_on.set()
    assert (await client.answer(ask))["code"] == "UNAUTHENTICATED"
    assert await items(stage) == {}
