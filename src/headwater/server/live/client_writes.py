"""What clients write without a step: asks the gate with the item as it is and as it would be, and commits
upon what was judged. Sockets and plain HTTP come here alike.

Owns that nothing is written which no rule has let through, that a key counts for one user alone, and how much
may wait for rules. Knows no wire.
"""

from __future__ import annotations

import hashlib
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import orjson

from headwater.errors import AccessDenied, Conflict, HeadwaterError, InvalidInput, SchemaMismatch, TooMany
from headwater.model import GroupKey, Item, Origin, Terms, WriteKind
from headwater.peer import Peer
from headwater.server.live.gate import Ask, Gate, Verdict, admit
from headwater.server.live.write_rates import WriteRates
from headwater.streams.catalog import Catalog, Verb
from headwater.streams.commits import ENTRY_BYTES, refused
from headwater.streams.writer import Prepared, Writer
from headwater.trace import new_trace

MOST_TRIES = 64
"""How often a rule is asked about one write whose item others write meanwhile; then it is a conflict. Of two
who count together each loses every other time: with 8 one in 256 writes would be refused."""


class Wanted(NamedTuple):
    """What a client wants written. `body` is the JSON text of the item or of the operations.

    `version` is the one that the item must have in the line of history `epoch` (0: it must not exist), None
    says nothing; `exists`: there must be an item.
    """

    kind: WriteKind
    group: GroupKey
    item: str
    body: bytes = b""
    key: str | None = None
    epoch: str | None = None
    version: int | None = None
    exists: bool = False

    @property
    def verb(self) -> Verb:
        """What it is to the gate."""
        return "delete" if self.kind == "delete" else "write"


class WantedEvent(NamedTuple):
    """An ephemeral event that a client wants sent; `body` is its JSON text."""

    group: GroupKey
    item: str | None
    body: bytes


Begun = Future[Any] | Coroutine[Any, Any, Item | None]
"""A write that is in the order of commits, or one that waits for its rule. Either answers the item, for a
delete as it was, or None: of an event, and of a delete of nothing."""


def _no_fault(_peer: Peer) -> None:
    """Nothing stands against anybody."""


class ClientWrites:
    """All that clients write, of one server. `max_bytes` may wait for rules."""

    def __init__(
        self,
        gate: Gate,
        catalog: Catalog,
        writer: Writer,
        epoch: str,
        *,
        max_bytes: int,
        rates: WriteRates | None = None,
        fault_of: Callable[[Peer], HeadwaterError | None] = _no_fault,
    ) -> None:
        """`rates` bounds how often one client writes; None does not. `fault_of` says what stands against a
        client once a rule has answered, for which it may have waited long."""
        self._fault_of = fault_of
        self._rates = rates
        self._gate = gate
        self._catalog = catalog
        self._writer = writer
        self._epoch = epoch
        self._most = max_bytes
        self._held = 0

    def begin(self, peer: Peer, wanted: Wanted | WantedEvent) -> Begun:
        """Write, or send. What no rule has to judge has its place in the order of commits when this returns.

        The answer raises, beside what the writer refuses, UnknownStream, AccessDenied, Conflict (the version
        that is wanted, or what others write meanwhile), and TooMany where too much waits for rules or the
        client writes too often.
        """
        try:
            if self._rates is not None:
                self._rates.take(peer)
            if isinstance(wanted, WantedEvent):
                return self._begin_event(peer, wanted)
            return self._begin_write(peer, wanted)
        except HeadwaterError as error:
            return refused(error)

    async def may_read(self, peer: Peer, group: GroupKey, item: str) -> bool:
        """Whether a client may be told of an item what it did not write itself."""
        try:
            await admit(self._gate, Ask(peer, group, item))
        except HeadwaterError:
            return False
        return True

    def hold(self, size: int) -> None:
        """So many bytes wait for a rule now, until `let_go`.

        :raises TooMany: more wait than may.
        """
        if self._held and self._held + size > self._most:
            raise TooMany(
                f"More than {self._most} bytes of clients' writes wait for the project's rules.",
                hint="Try again, or raise [streams] max_judged_bytes.",
                limit=self._most,
            ).at("streams.max_judged_bytes", self._most)
        self._held += size

    def let_go(self, size: int) -> None:
        """They wait no longer."""
        self._held -= size

    # --- events ---

    def _begin_event(self, peer: Peer, wanted: WantedEvent) -> Begun:
        group, item, body = wanted

        async def change() -> bytes:
            names = orjson.dumps(group.group), orjson.dumps(item)
            return b'{"groupId":%b,"id":%b,"event":%b}' % (*names, self._writer.event(*group, item, body))

        answer = self._gate.admit(Ask(peer, group, item, "send", change))
        if isinstance(answer, Verdict):
            _check(answer, group)
            return self._writer.send(*group, item, body, origin=_origin(peer))
        return self._holding(wanted, answer, self._send(peer, wanted, answer))

    async def _send(self, peer: Peer, wanted: WantedEvent, answer: Awaitable[Verdict]) -> None:
        _check(await answer, wanted.group)
        fault = self._fault_of(peer)
        if fault is not None:
            raise fault
        await self._writer.send(*wanted.group, wanted.item, wanted.body, origin=_origin(peer))

    # --- writes ---

    def _begin_write(self, peer: Peer, wanted: Wanted) -> Begun:
        judged = _Judged(self._writer, peer, wanted)
        answer = self._gate.admit(judged.ask)
        if not isinstance(answer, Verdict):
            return self._holding(wanted, answer, self._judge(judged, answer))
        _check(answer, wanted.group)
        if wanted.exists or wanted.epoch not in (None, self._epoch):
            return self._judge(judged, answer)
        begun = self._writer.commit(judged.prepared)
        return begun if wanted.kind != "update" or self._all_read(wanted) else self._told(judged, begun)

    async def _judge(self, judged: _Judged, answer: Verdict | Awaitable[Verdict]) -> Item | None:
        """Commit what the rule lets through upon the version that it has judged; where that is another by
        then, ask again. `answer` is the first verdict, or on its way."""
        era = self._catalog.era
        for tries in range(MOST_TRIES):
            if tries:
                era, answer = self._catalog.era, self._gate.admit(judged.ask)
            refusal = await self._refusal(judged, answer)
            if era != self._catalog.era:
                continue  # By rules of before.
            if refusal is not None:
                first = await self._first(judged)
                if first is None:
                    raise refusal
                return first
            try:
                return await self._writer.commit(judged.prepared, if_version=judged.version)
            except Conflict:
                pass  # Others wrote it meanwhile: what was judged is not what would be written over.
        wanted = judged.wanted
        raise Conflict(
            f"Others wrote item {wanted.item!r} each of {MOST_TRIES} times that its rule was asked.",
            hint="Try again.",
            stream=wanted.group.stream,
            group=wanted.group.group,
            id=wanted.item,
        )

    async def _first(self, judged: _Judged) -> Item | None:
        """What became of the write that had its key before; None where it has none, or is the first."""
        return None if judged.wanted.key is None else await self._writer.repeated(judged.prepared)

    async def _refusal(self, judged: _Judged, answer: Verdict | Awaitable[Verdict]) -> HeadwaterError | None:
        """What stands against a write as things are now."""
        try:
            if isinstance(answer, Verdict):
                await judged.look()
            _check(answer if isinstance(answer, Verdict) else await answer, judged.wanted.group)
        except _DoesNotFit as fault:
            return await self._telling(judged, fault.error)
        except AccessDenied as error:
            return error
        fault = self._fault_of(judged.peer)
        return fault or _unexpected(judged.wanted, judged.version, self._epoch)

    async def _told(self, judged: _Judged, begun: Future[Item | None]) -> Item | None:
        try:
            return await begun
        except (InvalidInput, SchemaMismatch) as error:
            raise await self._telling(judged, error) from None

    async def _telling(self, judged: _Judged, error: HeadwaterError) -> HeadwaterError:
        """Why operations do not fit an item, which may quote it, for whoever may read it."""
        if await self.may_read(judged.peer, judged.wanted.group, judged.wanted.item):
            return error
        return InvalidInput("The operations do not fit the item.", hint="You may not read it.")

    def _all_read(self, wanted: Wanted) -> bool:
        rules = self._catalog.get(wanted.group.stream)
        return rules is not None and rules.rights.read == "open"

    def _holding(
        self,
        wanted: Wanted | WantedEvent,
        answer: Awaitable[Verdict],
        judging: Coroutine[Any, Any, Item | None],
    ) -> Coroutine[Any, Any, Item | None]:
        """The same, counted among what waits for rules until it has ended.

        :raises TooMany: more waits than may.
        """
        size = ENTRY_BYTES + len(wanted.body)
        try:
            self.hold(size)
        except TooMany:
            judging.close()
            if isinstance(answer, Coroutine):
                answer.close()
            raise
        return self._held_for(size, judging)

    async def _held_for(self, size: int, judging: Coroutine[Any, Any, Item | None]) -> Item | None:
        try:
            return await judging
        finally:
            self.let_go(size)


class _Judged:
    """A write on its way to be judged: what it would make of the item as that was when it was looked at."""

    def __init__(self, writer: Writer, peer: Peer, wanted: Wanted) -> None:
        self.peer = peer
        self.wanted = wanted
        self.ask = Ask(peer, wanted.group, wanted.item, wanted.verb, self._change)
        self.version = 0
        """The item's, when it was looked at last; 0 where there was none."""
        self._writer = writer
        self._prepared: Prepared | None = None

    @property
    def prepared(self) -> Prepared:
        """The write, checked.

        :raises HeadwaterError: it can never be written.
        """
        if self._prepared is None:
            _, group, item, body, key, _, version, _ = self.wanted
            self._writer.limits.check_terms(Terms(key=key))
            terms = Terms(version, key=None if key is None else _own_key(self.peer, key))
            self._prepared = self._writer.prepare(
                self.wanted.kind, *group, item, body, terms=terms, origin=_origin(self.peer)
            )
        return self._prepared

    async def look(self) -> bytes | None:
        """The item's data as it is now."""
        found = await self._writer.get(*self.wanted.group, self.wanted.item)
        self.version = 0 if found is None else found.version
        return None if found is None else found.data

    async def _change(self) -> bytes:
        """What a rule is asked about."""
        prepared, old = self.prepared, await self.look()
        try:
            new = prepared.after(old)
        except HeadwaterError as error:
            raise _DoesNotFit(error) from None
        named = (
            orjson.dumps(self.wanted.group.group),
            orjson.dumps(self.wanted.item),
            self.wanted.kind.encode(),
        )
        return b'{"groupId":%b,"id":%b,"type":"%b","old":%b,"new":%b}' % (
            *named,
            b"null" if old is None else old,
            b"null" if new is None else new,
        )


class _DoesNotFit(Exception):
    """What a write would make of an item cannot be."""

    def __init__(self, error: HeadwaterError) -> None:
        super().__init__(error.message)
        self.error = error


def _check(verdict: Verdict, group: GroupKey) -> None:
    if verdict.allowed is not True:
        raise AccessDenied(verdict.reason, stream=group.stream)


def _unexpected(wanted: Wanted, version: int, epoch: str) -> Conflict | None:
    """What is not as the client wants it."""
    stream, group = wanted.group
    where = {"stream": stream, "group": group, "id": wanted.item}
    if wanted.epoch not in (None, epoch):
        return Conflict("The version is of another epoch.", hint="Read the item again.", **where)
    if wanted.version not in (None, version) or (wanted.exists and not version):
        has = f"has version {version}" if version else "does not exist"
        said = f"Item {wanted.item!r} {has}, which is not what the write expects."
        return Conflict(said, hint="Read the item again.", version=version, **where)
    return None


def _own_key(peer: Peer, key: str) -> str:
    """The key as the store keeps it, apart from those of steps and of other users: who repeats a key is told
    what became of the first write, and nothing else is written. Who has no name is known by all that the
    project says of it, whatever token says so."""
    who: tuple[str, Any] = "user", peer.identity
    if peer.service is not None:
        who = "service", peer.service.name
    elif peer.identity is None and peer.context is not None:
        told: dict[str, Any] = orjson.loads(peer.context)
        who = "context", {name: value for name, value in told.items() if name not in _OF_ONE_TOKEN}
    digest = hashlib.sha256(orjson.dumps([*who, key], option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"client:{digest}"


_OF_ONE_TOKEN = frozenset({"exp", "iat", "nbf", "jti", "auth_time"})
"""Members of a context that differ from token to token of whom it is about."""


def _origin(peer: Peer) -> Origin:
    return Origin(trace=new_trace(), auth=peer.context)
