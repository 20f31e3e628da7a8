"""Who may do what with a stream: asks the project's rule and fails closed. Knows no wire and no socket.

Every question is one `Ask` and every answer one `Verdict`. An answer that is known at once is given at once,
so open streams cost no task; the others are awaited.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, NamedTuple, Protocol

from headwater.errors import AccessDenied, HeadwaterError, Revoked, TokenExpired, TooMany, UnknownStream
from headwater.logline import Line, tell_fault
from headwater.model import GroupKey
from headwater.observe import SILENT, Observer, tell_limit
from headwater.peer import Peer
from headwater.server.http.authentication import expired
from headwater.streams.catalog import Catalog, Verb

log = logging.getLogger("headwater.socket")

AskRule = Callable[[str, str, str | None, bytes | None, Verb, bytes | None], Awaitable[bool]]
"""Asks the rule of a stream about a group and perhaps an item of it, for a context as JSON text: whether that
may be done; last what would be written or sent, as JSON text."""

IsRevoked = Callable[[str, str, str | None], bool]
"""Whether a group, by stream and name, was taken away from a user; None is nobody."""

Then = Callable[[HeadwaterError | None], None]


class Ask(NamedTuple):
    """Whether a peer may do something with a group, or with one item of it. `change` gives the JSON text of
    what would be written or sent; it is called where a rule has to judge that, and what it raises comes out
    of the answer. `followed`: the peer follows the whole group, and cancels an item of that."""

    peer: Peer
    group: GroupKey
    item: str | None = None
    verb: Verb = "read"
    change: Callable[[], Awaitable[bytes]] | None = None
    followed: bool = False


class Verdict(NamedTuple):
    """The answer: `reason` is told to whoever asked and is refused."""

    allowed: bool
    reason: str = "You may not subscribe to this."


MOST_AWAITED = 16
"""Subscriptions to streams that are not there of which one client is told when they are."""

YES = Verdict(True, "")
NO = Verdict(False)
NOT: Mapping[Verb, Verdict] = {
    "read": NO,
    "write": Verdict(False, "You may not write this."),
    "send": Verdict(False, "You may not send this."),
    "delete": Verdict(False, "You may not delete this."),
    "cancel": Verdict(False, "You may not cancel this."),
}
"""The no to each."""
UNDECLARED: Mapping[Verb, Verdict] = {
    verb: Verdict(False, f"Nobody may {verb} here without a step: the stream's file has no can_{verb}.")
    for verb in ("write", "send", "delete")
}
"""The no where a stream's file says nothing of it."""


def _nothing_is(_stream: str, _group: str, _user: str | None) -> bool:
    """Nothing was taken away."""
    return False


class Gate(Protocol):
    """Says who may do what."""

    def admit(self, ask: Ask) -> Verdict | Awaitable[Verdict]:
        """The verdict where it is known, else one to be awaited.

        :raises UnknownStream: the project declares no such stream.
        """
        ...


class _Later:
    """A verdict that nobody works on before somebody waits: whoever asked may be gone by then."""

    __slots__ = ("_begin",)

    def __init__(self, begin: Callable[[], Awaitable[Verdict]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, Verdict]:
        return self._begin().__await__()


class StreamGate:
    """The project's answer: what is open is open, what is nobody's is nobody's, all else asks its function.
    A service does what its token says, and no function is asked; nor is one for the server's operator, who
    may follow the server's own streams as well."""

    def __init__(
        self,
        catalog: Catalog,
        access: AskRule,
        observer: Observer = SILENT,
        revoked: IsRevoked = _nothing_is,
    ) -> None:
        """`revoked` says from whom a group was taken away, whatever its stream's rules say."""
        self._catalog = catalog
        self._revoked = revoked
        self._access = access
        self._observer = observer

    def admit(self, ask: Ask) -> Verdict | Awaitable[Verdict]:
        """See Gate. In this order:

        - A stream that is not there, or is the server's own, is unknown; the operator may read that too.
        - The operator may do what the project could let anybody do. A service may do what its token says.
        - What no file declares is nobody's, and what was taken away from a user stays so, open or not.
        - What is open is open. All else the stream's function is asked; who is there is for those who may
          subscribe to the whole group of the stream itself.
        """
        operates = ask.peer.operator
        try:
            rules = self._catalog.followed(ask.group.stream, hidden=operates and ask.verb == "read")
        except UnknownStream as error:
            self._observer.refused(ask.peer, error)
            raise
        right, stream = rules.rights.of(ask.verb), rules.sister_of or rules.name
        # Who is there is written by subscribing, and in no other way.
        may_be_granted = not rules.sister_of or ask.verb == "read"
        if operates and may_be_granted:
            return YES
        if ask.peer.service is not None:
            allowed = may_be_granted and ask.peer.service.allows(ask.verb, stream)
            return YES if allowed else self._no(ask)
        if right == "nobody":
            return self._no(ask, None if rules.sister_of else UNDECLARED.get(ask.verb))
        if self._revoked(stream, ask.group.group, ask.peer.identity):
            return self._no(ask)
        if right == "open":
            return YES
        item = None if rules.sister_of else ask.item
        if ask.followed and rules.rights.cancel == "readers":
            item = None  # Whoever may follow all may stop each.
        return _Later(lambda: self._judge(ask, stream, item))

    async def _judge(self, ask: Ask, stream: str, item: str | None) -> Verdict:
        """What the function says: anything but exactly true is a no."""
        change = None if ask.change is None else await ask.change()
        asked = stream, ask.group.group, item, ask.peer.context, ask.verb, change
        allowed = await self._access(*asked) is True
        if allowed and not self._revoked(stream, ask.group.group, ask.peer.identity):
            return YES  # Revoked while the function was asked is revoked too.
        return self._no(ask)

    def _no(self, ask: Ask, no: Verdict | None = None) -> Verdict:
        no = no or NOT[ask.verb]
        self._observer.refused(ask.peer, AccessDenied(no.reason, stream=ask.group.stream))
        return no


async def admit(gate: Gate, ask: Ask) -> None:
    """Wait for the gate's yes.

    :raises HeadwaterError: it says no, or there is no such stream.
    """
    refusal = await judge(gate, ask)
    if refusal is not None:
        raise refusal


async def judge(gate: Gate, ask: Ask) -> HeadwaterError | None:
    """Wait for what stands against it; None is the gate's yes."""
    try:
        answer = gate.admit(ask)
    except HeadwaterError as error:
        return error
    return _refusal(ask, answer) if isinstance(answer, Verdict) else await _settled(ask, answer)


class Admissions:
    """The questions that one client has open at the gate, and who it is. While it is somebody whose token has
    ended it is refused whatever it asks, and what it had asked."""

    __slots__ = ("_era", "_gate", "_limit", "_observer", "_tasks", "lapsed", "peer")

    def __init__(self, gate: Gate, peer: Peer, limit: int, observer: Observer = SILENT) -> None:
        self._gate = gate
        self._observer = observer
        self.peer = peer
        self.lapsed = False
        """Whether its token has ended, and it has brought no other."""
        self._limit = limit
        self._era = 0
        """Grows whenever rules have changed."""
        self._tasks: set[asyncio.Task[None]] | None = None  # Most clients never need one.

    def ask(
        self,
        group: GroupKey,
        item: str | None,
        then: Then,
        verb: Verb = "read",
        *,
        followed: bool = False,
    ) -> None:
        """Ask, and call `then` with None for yes or with what stands against it: at once where no rule has to
        run."""
        fault = self._lapse_of() or self._too_many()
        if fault is not None:
            self.refused(fault)
            then(fault)
            return
        ask = Ask(self.peer, group, item, verb, followed=followed)
        try:
            answer = self._gate.admit(ask)
        except HeadwaterError as error:
            then(error)
            return
        if isinstance(answer, Verdict):
            then(_refusal(ask, answer))
            return
        task = asyncio.get_running_loop().create_task(self._wait(ask, answer, then))
        self._tasks = self._tasks or set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, ask: Ask, answer: Awaitable[Verdict], then: Then) -> None:
        """Wait for the verdict. One about who the client was, or by rules of before, says nothing of now."""
        era = self._era
        refusal = await _settled(ask, answer)
        while (ask.peer is not self.peer or era != self._era) and not self.lapsed:
            era, ask = self._era, ask._replace(peer=self.peer)
            refusal = await judge(self._gate, ask)
        then(self._lapse_of() or refusal)

    def become(self, peer: Peer) -> None:
        """It is somebody else now, whose token has not ended; its open questions are asked of that one."""
        self.peer = peer
        self.lapsed = False

    def now(self) -> Peer:
        """Who it is.

        :raises TokenExpired: it is nobody until it has brought another token.
        """
        if self.lapsed:
            raise expired()
        return self.peer

    def ask_again(self) -> None:
        """The rules have changed: what is asked now is to be answered by those of now."""
        self._era += 1

    def _lapse_of(self) -> TokenExpired | None:
        return expired() if self.lapsed else None

    def _too_many(self) -> TooMany | None:
        """A question outlives a client that takes its request back, so requests alone do not bound them."""
        if len(self._tasks or ()) < self._limit:
            return None
        return TooMany(
            f"{self._limit} requests of this client wait for the project's access rule.",
            hint="Try again once they are answered.",
            limit=self._limit,
        ).at("socket.max_subscriptions", self._limit)

    def refused(self, error: HeadwaterError) -> None:
        """Tell that the client was refused something before the gate was asked, or after."""
        self._observer.refused(self.peer, error)
        tell_limit(self._observer, error)

    def close(self) -> None:
        """Take all open questions back; their `then` is not called."""
        for task in self._tasks or ():
            task.cancel()


async def _settled(ask: Ask, answer: Awaitable[Verdict]) -> HeadwaterError | None:
    """Wait for the verdict; one that cannot be had is a no."""
    try:
        return _refusal(ask, await answer)
    except Exception:
        tell_fault(log, Line(flood="access"), "The access rule of stream %r failed", ask.group.stream)
        return _refusal(ask, NOT[ask.verb])


def taken_away(**about: str) -> Revoked:
    """What somebody is told who follows a group, or an item of it, and may no more."""
    return Revoked("You may not follow this any more.", **about)


def _refusal(ask: Ask, verdict: Verdict) -> HeadwaterError | None:
    return None if verdict.allowed is True else AccessDenied(verdict.reason, stream=ask.group.stream)
