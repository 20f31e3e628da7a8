"""Whose sockets and event streams are open: found by identity, so that they can be ended when it is revoked,
told when their token ends, and known by a number once somebody asks for it.

Owns these maps and nothing else. Who has no identity and no end is in none of them, so it costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Protocol

from headwater.clock import SystemClock
from headwater.model import GroupKey
from headwater.peer import Peer
from headwater.server.live.lapses import Lapses
from headwater.streams.catalog import sister


class Guest(Protocol):
    """A socket or an event stream that is open."""

    @property
    def peer(self) -> Peer:
        """Who it is now."""
        ...

    def close(self, code: int, reason: str) -> None:
        """End it, and say why."""
        ...

    def send_away(self) -> None:
        """End it, and have its client come again."""
        ...

    def expiring(self, seconds: float) -> None:
        """Its token ends in so many seconds."""
        ...

    def expired(self) -> None:
        """Its token has ended: it is sent nothing more that a token was needed for."""
        ...

    def revoked(self, group: GroupKey) -> None:
        """It may follow a group no more."""
        ...


class Knows(Protocol):
    """Whoever says who a peer is."""

    era: int
    """Grows whenever what it said before may hold no longer."""

    async def know(self, peer: Peer) -> Peer:
        """The peer, as the project knows it. Raises HeadwaterError to refuse."""
        ...


class _AsItIs:
    """Nobody says who a peer is."""

    era = 0

    async def know(self, peer: Peer) -> Peer:
        return peer


def is_of(group: GroupKey, of: GroupKey) -> bool:
    """Whether a group is this one, or of who is present in it."""
    return group.group == of.group and group.stream in (of.stream, sister(of.stream))


class Attendance:
    """Everybody who is here under a name, or for a time."""

    def __init__(self, lapses: Lapses | None = None, who: Knows | None = None) -> None:
        self._guests: dict[str, set[Guest]] = {}
        self._identities: dict[Guest, str] = {}
        self._lapses = Lapses(SystemClock(), 0.0) if lapses is None else lapses
        self._who = _AsItIs() if who is None else who
        self._numbers: dict[Guest, int] = {}
        self._count = count(1)

    def enter(self, peer: Peer, guest: Guest) -> None:
        """A guest has come."""
        if peer.identity is not None:
            self._guests.setdefault(peer.identity, set()).add(guest)
            self._identities[guest] = peer.identity
        if peer.expires is not None:
            self._lapses.enter(guest, peer.expires)

    async def know_again(self, peer: Peer, token: str) -> Peer:
        """Who a guest is by another token; it stays who it was until it `becomes` that.

        :raises HeadwaterError: the token is refused, or nobody can say so now.
        """
        nobody = replace(peer, identity=None, context=None, expires=None, operator=False, service=None)
        return await self._who.know(replace(nobody, given=token))

    @property
    def era(self) -> int:
        """Grows whenever who somebody is, or may have to do with what, may have changed."""
        return self._who.era

    def becomes(self, peer: Peer, guest: Guest) -> None:
        """A guest is somebody else now, or the same for longer."""
        self._unname(guest)
        self._lapses.leave(guest)
        self.enter(peer, guest)

    def leave(self, guest: Guest) -> None:
        """A guest has gone; unknown ones are passed over."""
        self._unname(guest)
        self._lapses.leave(guest)
        if self._numbers:
            self._numbers.pop(guest, None)

    def of(self, identity: str) -> tuple[Guest, ...]:
        """The guests of an identity."""
        return tuple(self._guests.get(identity, ()))

    def number(self, guest: Guest) -> int:
        """The number of a guest, which it keeps as long as it is here."""
        return self._numbers.get(guest) or self._numbers.setdefault(guest, next(self._count))

    def numbered(self, number: int) -> Guest | None:
        """The guest of a number that was told; None where it has gone."""
        return next((guest for guest, one in self._numbers.items() if one == number), None)

    def __len__(self) -> int:
        """How many guests have an identity."""
        return len(self._identities)

    def _unname(self, guest: Guest) -> None:
        if not self._identities:
            return
        identity = self._identities.pop(guest, None)
        if identity is None:
            return
        guests = self._guests[identity]
        guests.discard(guest)
        if not guests:
            del self._guests[identity]
