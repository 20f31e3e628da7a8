"""Takes rights away, from whoever is here as well: what is kept is `streams/revocations.py`'s, who is here
`attendance.py`'s.

Owns that both happen, in that order: what a connection may not have any more is refused before the connection
ends, so that nobody comes back to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headwater.errors import InvalidInput
from headwater.logline import Line, tell
from headwater.model import GroupKey
from headwater.server.http.authentication import Authentication
from headwater.server.live.attendance import Attendance, Guest
from headwater.streams.revocations import Revocations

log = logging.getLogger("headwater.access")


class Revoking:
    """What operators and steps may take away. `here` gives all guests, whoever they are."""

    def __init__(
        self,
        revocations: Revocations,
        guests: Attendance,
        who: Authentication,
        here: Callable[[], Iterable[Guest]],
    ) -> None:
        self._revocations = revocations
        self._guests = guests
        self._who = who
        self._here = here

    async def user(self, user: str) -> int:
        """Refuse the tokens that a user has, and end its connections, which come again with others. How many
        those were. For what it raises see Revocations.
        """
        await self._revocations.revoke_user(user)
        self._who.doubt()
        guests = self._guests.of(user)
        for guest in guests:
            guest.send_away()
        _tell("All tokens of a user that were issued before now are refused", user=user)
        return len(guests)

    async def restore_user(self, user: str) -> bool:
        """Take that back; False where nothing was revoked."""
        restored = await self._revocations.restore_user(user)
        if restored:
            self._who.doubt()
            _tell("The tokens of a user are judged as before", user=user)
        return restored

    async def connection(self, number: int) -> bool:
        """End a connection and refuse its token from now on, if it brought one; so ends every connection of
        its user that brought the same. Whether there was a token. For what else it raises see Revocations.

        :raises InvalidInput: there is no such connection.
        """
        guest = self._guests.numbered(number)
        if guest is None:
            hint = "`headwater connections` lists those that are open."
            raise InvalidInput(f"There is no connection {number}.", hint=hint, field="connection")
        peer = guest.peer
        token = self._who.digest_of(peer)
        ending = [guest]
        if token is not None:
            await self._revocations.revoke_token(token, peer.expires)
            self._who.doubt()
            others = () if peer.identity is None else self._guests.of(peer.identity)
            ending += [one for one in others if one is not guest and self._who.digest_of(one.peer) == token]
        for one in ending:
            one.send_away()
        _tell("A connection is ended, and its token refused", user=peer.identity, address=peer.address)
        return token is not None

    async def group(self, stream: str, group: str, user: str) -> None:
        """Take a group away from a user. For what it raises see Revocations."""
        await self._revocations.revoke(stream, group, user)
        self._who.doubt()
        for guest in self._guests.of(user):
            guest.revoked(GroupKey(stream, group))

    async def restore_group(self, stream: str, group: str, user: str) -> None:
        """Leave a group to the stream's rules again. For what it raises see Revocations."""
        await self._revocations.restore(stream, group, user)

    def connections(self, user: str | None) -> Iterator[dict[str, Any]]:
        """Who is here, or which of them are of a user: `{"id", "kind", "user", "address", "expires"}`."""
        guests = self._here() if user is None else self._guests.of(user)
        for guest in tuple(guests):
            peer = guest.peer
            yield {
                "id": self._guests.number(guest),
                "kind": peer.kind,
                "user": peer.identity,
                "address": peer.address,
                "expires": peer.expires,
            }


def _tell(what: str, **fields: Any) -> None:
    tell(log, logging.WARNING, Line(fields=fields), "%s", what)
