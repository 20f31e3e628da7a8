"""A client of protocol v1 on a socket made by hand: the reference store, and a judge of what it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import orjson

from headwater.client.state import Held
from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription
from headwater.model import Change, GroupKey, Unit, Write
from headwater.server.live.session import Session
from headwater.storage.base import Committed, Store, UnitOutcome
from support.stream_frames import payloads

States = dict[int, dict[str, Held]]


class Recorded:
    """A Store that keeps what every group was at every version, of this line of history and those before."""

    def __init__(self, inner: Store, before: dict[tuple[str, GroupKey], States] | None = None) -> None:
        self.inner = inner
        self.states: dict[tuple[str, GroupKey], States] = {} if before is None else before

    async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        outcomes = await self.inner.commit(units, stamp=stamp)
        for outcome in outcomes:
            for change in outcome.changes if isinstance(outcome, Committed) else [outcome]:
                if isinstance(change, Change):
                    self._note(change)
        return outcomes

    def _note(self, change: Change) -> None:
        states = self.states.setdefault((self.inner.epoch, change.group), {})
        state = dict(states.get(change.version - 1, {}))
        if change.kind == "delete":
            del state[change.id]
        else:
            state[change.id] = Held(change.version, change.created, orjson.loads(change.data))
        states[change.version] = state

    def at(self, epoch: str, group: GroupKey, version: int) -> dict[str, Held] | None:
        """What a group held at a version; None where no write made that version."""
        return self.states.get((epoch, group), {}).get(version)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.inner, verb)


class HandSocket:
    """The server's end of a socket, as `WebSocket` keeps it: full above its high-water mark, until it is
    down to a quarter of that."""

    def __init__(self, high_water: int) -> None:
        self.high_water = high_water
        self.session: Session | None = None
        self.waiting: list[bytes] = []
        self.size = 0
        self.full = False
        self.ended = False
        self.closed: tuple[int, str] | None = None

    def close(self, code: int, reason: str) -> None:
        """The server ends it."""
        self.closed = self.closed or (code, reason)
        if self.session is not None and not self.ended:
            self.ended = True
            self.session.closed()

    def send_away(self) -> None:
        self.close(1012, "come again")

    @property
    def outlet(self) -> HandSocket:
        return self

    @property
    def is_full(self) -> bool:
        return self.full or self.ended

    def offer(self, frames: bytes) -> bool:
        if self.is_full:
            return False
        self.write(frames)
        return True

    def write(self, frames: bytes) -> None:
        assert not self.is_full, "written to while full"
        self.waiting += payloads(frames)
        self.size += len(frames)
        if self.size > self.high_water:
            self.full = True
            if self.session is not None:
                self.session.filled()

    def read(self, most: int) -> list[bytes]:
        """What the client reads now; the server is told where that drains the socket."""
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        self.size = sum(map(len, self.waiting))
        if self.full and self.size <= self.high_water // 4:
            self.full = False
            if self.session is not None:
                self.session.drained()
        return taken


class Server(Protocol):
    """What a client of the proofs needs of the server."""

    recorded: Recorded
    rolled: ClassVar[Mapping[str, float]]

    def open(self, socket: HandSocket) -> Session:
        """The session of a new socket."""
        ...


class JudgedClient:
    """A ClientStore, its connection, and the rules that every frame must keep."""

    def __init__(self, server: Server, high_water: int) -> None:
        self.server = server
        self.high_water = high_water
        self.store = ClientStore(self._told)
        self.subscriptions: list[Subscription] = []
        self.socket: HandSocket | None = None
        self.reads = True
        self.talks = True
        self.published: dict[Subscription, int] = {}
        self.resets: dict[Subscription, list[str]] = {}
        self.errors: list[dict[str, Any]] = []
        self._sent: list[str] = []
        self._feeds: dict[int, GroupKey] = {}
        self._wanted: set[tuple[GroupKey, str | None]] = set()
        self._newest: dict[int, int] = {}

    # --- the connection ---

    def connect(self) -> None:
        self._feeds, self._newest, self._sent = {}, {}, []
        self._wanted = {(_group(one), one.item) for one in self.subscriptions}
        self.socket = HandSocket(self.high_water)
        self.socket.session = self.server.open(self.socket)
        self.store.connected()
        self.talk()

    def disconnect(self) -> None:
        if self.socket is not None and self.socket.session is not None:
            self.socket.ended = True
            self.socket.session.closed()
        self.socket, self._sent = None, []
        self.store.disconnected()

    def talk(self) -> None:
        """Send what waits, unless the server reads nothing: it does not while the socket is full."""
        self._sent += self.store.outbox
        self.store.outbox.clear()
        while self._sent and self.talks and self.socket is not None and not self.socket.full:
            assert self.socket.session is not None
            self.socket.session.message(self._sent.pop(0))

    def read(self, most: int = 1_000_000) -> None:
        if self.socket is not None:
            for payload in self.socket.read(most):
                self._take(orjson.loads(payload), payload)
            self.talk()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way in either direction."""
        return self.socket is not None and not (
            self.socket.waiting or self.socket.full or self._sent or self.store.outbox
        )

    # --- what is asked for ---

    def subscribe(
        self,
        group: GroupKey,
        item: str | None,
        limit: int | None,
        presence: dict[str, Any] | None = None,
    ) -> Subscription:
        one = self.store.subscribe(*group, item, limit=limit, state=presence)
        self.subscriptions.append(one)
        self._wanted.add((group, item))
        self.talk()
        return one

    def unsubscribe(self, one: Subscription) -> None:
        self.subscriptions.remove(one)
        self.published.pop(one, None)
        self.store.unsubscribe(one)
        self.talk()

    def more(self, one: Subscription, limit: int) -> None:
        self.store.more(one, limit)
        self.talk()

    def set_state(self, one: Subscription, presence: dict[str, Any]) -> None:
        self.store.set_state(one, presence)
        self.talk()

    # --- the rules ---

    def _take(self, message: dict[str, Any], payload: bytes) -> None:
        kind = message["t"]
        if kind == "subscribed":
            one = next((known for known in self.subscriptions if known.number == message["sub"]), None)
            if one is not None:
                self._feeds[message["f"]] = _group(one)
        elif "f" in message:
            self._judge_live(message)
        elif kind == "error":
            self.errors.append(message)
        if kind == "page":
            self._judge_page(message)
        before = {one: one.state.version for one in self.subscriptions if one.state.live}
        self.store.received(payload)
        for one in self.subscriptions:
            if one.state.live and before.get(one) != one.state.version:
                self._judge_state(one, message)

    def _judge_live(self, message: dict[str, Any]) -> None:
        group = self._feeds.get(message["f"])
        if group is None:
            return  # Of a subscription that was ended before its `subscribed` was read.
        wanted = {item for named, item in self._wanted if named == group}
        item = message["d"]["id"] if "d" in message else message.get("i")
        assert wanted, f"a frame of {group}, which was never asked for"
        assert None in wanted or item in wanted, f"a frame of item {item!r}, which was never asked for"
        if "d" in message:
            assert message["d"]["g"] == list(group), "an item of another group"
        if "v" in message:
            assert message["v"] > self._newest.get(message["f"], 0), f"came twice, or late: {message}"
            self._newest[message["f"]] = message["v"]

    def _judge_page(self, message: dict[str, Any]) -> None:
        one = next((known for known in self.subscriptions if known.number == message["sub"]), None)
        if one is None:
            return
        for _, _, data in message.get("items", []):
            assert data["g"] == [one.stream, one.group], "an item of another group"
            assert one.item in (None, data["id"]), "another item"
        for _, item in message.get("gone", []):
            assert one.item in (None, item), "another item's delete"

    def _judge_state(self, one: Subscription, message: dict[str, Any]) -> None:
        """What is published is what the group was, and never goes back."""
        state = one.state
        least = self.published.get(one, -1)
        if message["t"] == "complete":
            assert state.version >= least, f"{one.stream}/{one.group} went back from {least}: {message}"
        else:
            assert state.version > least, f"{one.stream}/{one.group} stood still at {least}: {message}"
        self.published[one] = state.version
        if message["t"] != "complete" and self.server.rolled.get(one.stream):
            return
        was = self.server.recorded.at(state.epoch, _group(one), state.version)
        if was is not None:
            assert state.held == part_of(was, one), (message, one.number, state.version, state.floor)

    def _told(self, one: Subscription, what: str, value: Any) -> None:
        if what == "reset":
            self.resets.setdefault(one, []).append(value)
            self.published.pop(one, None)


def part_of(state: dict[str, Held], one: Subscription) -> dict[str, Held]:
    """What of a group's state a subscription holds."""
    return {
        item: held
        for item, held in state.items()
        if one.item in (None, item) and held.created >= one.state.floor
    }


def _group(one: Subscription) -> GroupKey:
    return GroupKey(one.stream, one.group)
