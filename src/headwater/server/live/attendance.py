"""Whose sockets and event streams are open: found by identity, so that they can be ended when it is revoked.

Owns the map and nothing else. Who has no identity is not in it, so it costs nothing while nobody has one.
"""

from __future__ import annotations

from typing import Protocol


class Guest(Protocol):
    """A socket or an event stream that is open."""

    def close(self, code: int, reason: str) -> None:
        """End it, and say why."""
        ...


class Attendance:
    """Everybody who is here under a name."""

    def __init__(self) -> None:
        self._guests: dict[str, set[Guest]] = {}
        self._identities: dict[Guest, str] = {}

    def enter(self, identity: str | None, guest: Guest) -> None:
        """A guest has come."""
        if identity is not None:
            self._guests.setdefault(identity, set()).add(guest)
            self._identities[guest] = identity

    def leave(self, guest: Guest) -> None:
        """A guest has gone; unknown ones are passed over."""
        if not self._identities:
            return
        identity = self._identities.pop(guest, None)
        if identity is None:
            return
        guests = self._guests[identity]
        guests.discard(guest)
        if not guests:
            del self._guests[identity]

    def of(self, identity: str) -> tuple[Guest, ...]:
        """The guests of an identity."""
        return tuple(self._guests.get(identity, ()))

    def __len__(self) -> int:
        """How many guests have an identity."""
        return len(self._identities)
