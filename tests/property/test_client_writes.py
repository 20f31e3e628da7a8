"""Writes without a step, through both doors at once, under any rule: what is committed is what the rule
allows of the item as it was; versions have no gaps; a key writes once."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.config import Settings
from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Origin, Signal
from headwater.peer import Peer
from headwater.server.live.gate import StreamGate
from headwater.server.live.session_v1 import V1Session
from headwater.server.live.stream_target import Target
from headwater.server.live.write_http import WriteHttp
from headwater.storage.memory import MemoryStore
from headwater.streams.catalog import Catalog, Rights, StreamRules, Verb
from support.v1_client import HandSocket
from support.v1_stage import V1Stage

GROUP = GroupKey("chat", "g")
METHODS = {"set": "PUT", "update": "PATCH", "delete": "DELETE"}


class Action(NamedTuple):
    """One write: by which door, whose, of what, how many turns its rule takes."""

    door: str
    user: str
    item: str
    kind: str
    n: int
    key: str | None
    turns: int


ACTIONS = st.builds(
    Action,
    door=st.sampled_from(["socket", "http", "step"]),
    user=st.sampled_from(["ada", "bob"]),
    item=st.sampled_from(["a", "b"]),
    kind=st.sampled_from(["set", "update", "delete"]),
    n=st.integers(1, 3),
    key=st.sampled_from([None, None, "k1", "k2"]),
    turns=st.integers(0, 6),
)


class Site(V1Stage):
    """One group under a rule that is any function of what it is asked."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.turns: dict[tuple[str, str], int] = {}
        self.catalog = Catalog()
        super().__init__(MemoryStore())
        self.gate = StreamGate(self.catalog, self._answer)
        self.writes._gate = self.gate
        self.http = WriteHttp(self.writes, Settings(), self.store.epoch)
        self.changes: list[Change] = []
        publish = self.durable.queue._publish

        def told(published: Sequence[Change | Signal]) -> None:
            self.changes += [one for one in published if isinstance(one, Change)]
            publish(published)

        self.durable.queue._publish = told
        self.sockets = {user: HandSocket(10_000_000) for user in ("ada", "bob")}
        parts = self.streams, self.presence, self.gate, self.settings.socket
        self.sessions = {
            user: V1Session(socket, *parts, peer(user), writes=self.writes)
            for user, socket in self.sockets.items()
        }

    def declare(self, **chat: Any) -> None:
        self.catalog.declare([StreamRules(name="chat", rights=Rights(write="rule", delete="rule"))])

    def allows(self, verb: str, old: Any, new: Any, user: str) -> bool:
        """Three of four questions are answered by yes; the same one always alike."""
        seen = repr((self.seed, verb, old and old["n"], new and new["n"], user))
        return zlib.crc32(seen.encode()) % 4 != 0

    async def _answer(
        self, stream: str, group: str, item: str | None, auth: Any, verb: Verb, change: bytes | None
    ) -> bool:
        asked, user = orjson.loads(change or b"null"), orjson.loads(auth)["user"]
        for _ in range(self.turns.get((user, asked["id"]), 0)):
            await asyncio.sleep(0)
        return self.allows(verb, asked["old"], asked["new"], user)


def peer(user: str, **headers: str) -> Peer:
    return Peer("http", identity=user, context=orjson.dumps({"user": user}), headers=headers)


def body(action: Action) -> Any:
    if action.kind == "set":
        return {"n": action.n}
    return [{"type": "increment", "path": "n", "by": action.n}]


async def by_socket(site: Site, number: int, action: Action) -> None:
    body_of = {"set": {"d": body(action)}, "update": {"ops": body(action)}, "delete": {}}[action.kind]
    named = {"stream": "chat", "group": "g", "id": action.item, "key": action.key}
    message = {"t": action.kind, "ask": number, **named, **body_of}
    site.sessions[action.user].message(orjson.dumps(message).decode())


async def by_http(site: Site, action: Action) -> int | None:
    """The version that it is answered with, where it is."""
    heard: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": orjson.dumps(body(action)), "more_body": False}

    async def still() -> Peer:
        return who

    async def send(message: Any) -> None:
        heard.append(message)

    who = peer(action.user, **({} if action.key is None else {"idempotency-key": action.key}))
    try:
        await site.http.answer(METHODS[action.kind], who, still, Target(GROUP, action.item), receive, send)
    except HeadwaterError as error:
        if error.code not in ("STREAM_ACCESS_DENIED", "CONFLICT"):
            raise
        return None
    tag = dict(heard[0]["headers"]).get(b"etag")
    return None if tag is None else int(tag.decode().rstrip('"').rpartition(".")[2])


async def by_step(site: Site, action: Action) -> None:
    where, origin = (*GROUP, action.item), Origin("step")
    if action.kind == "delete":
        await site.writer.delete(*where, origin=origin)
    else:
        write = site.writer.set if action.kind == "set" else site.writer.update
        await write(*where, orjson.dumps(body(action)), origin=origin)


async def run(seed: int, plan: list[Action]) -> None:
    site = Site(seed)
    by_key: dict[tuple[str, str], set[int]] = {}
    waiting: list[tuple[Action, asyncio.Task[int | None]]] = []
    for number, action in enumerate(plan):
        site.turns[action.user, action.item] = action.turns
        if action.door == "http":
            waiting.append((action, asyncio.create_task(by_http(site, action))))
        elif action.door == "socket":
            await by_socket(site, number, action)
        else:
            await by_step(site, action)
        for _ in range(action.turns):
            await asyncio.sleep(0)
    versions: list[tuple[Action, int | None]] = [(action, await task) for action, task in waiting]
    asked = {number for number, action in enumerate(plan) if action.door == "socket"}
    while asked:
        await asyncio.sleep(0)
        for socket in site.sockets.values():
            for told in map(orjson.loads, socket.read(1000)):
                if "ask" in told:
                    asked.discard(told["ask"])
                    assert told.get("code") in (None, "STREAM_ACCESS_DENIED", "CONFLICT"), told
                    versions.append((plan[told["ask"]], told.get("v")))
    see_that_all_was_allowed(site)
    for action, version in versions:
        if version is not None:
            assert any(change.version == version for change in site.changes)
        if version is not None and action.key is not None:
            by_key.setdefault((action.user, action.key), set()).add(version)
    assert all(len(written) == 1 for written in by_key.values()), by_key
    await site.close()


def see_that_all_was_allowed(site: Site) -> None:
    """Each change upon the item as the changes before it left that."""
    items: dict[str, Any] = {}
    for number, change in enumerate(site.changes, start=1):
        assert change.version == number
        old, new = items.get(change.id), None if change.kind == "delete" else orjson.loads(change.data)
        if change.origin.auth is not None:
            verb = "delete" if new is None else "write"
            assert site.allows(verb, old, new, orjson.loads(change.origin.auth)["user"]), change
        items[change.id] = new


@settings(deadline=None)
@given(seed=st.integers(0, 1000), plan=st.lists(ACTIONS, max_size=25))
def test_what_is_committed_was_allowed_of_the_item_as_it_was(seed: int, plan: list[Action]) -> None:
    asyncio.run(run(seed, plan))
