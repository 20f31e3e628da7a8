"""Who is connected, by address: how many connections one address holds, and how often it opens another.

Owns who is counted for none. Knows no socket. What it holds is bounded by the open connections and by
`MOST_KNOWN` of `rates.py`; nothing here runs by a timer.

- Loopback and trusted proxies are nobody in particular: what they do is bounded as a whole. Where a trusted
  proxy tells who its client is, that one counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from headwater.config import ServerSettings
from headwater.errors import HeadwaterError, TooMany
from headwater.server.http.authority import is_loopback
from headwater.server.http.forwarded import Proxies
from headwater.server.rates import Rates, network_of

CUT_ABOVE = 1.1
"""How far above a limit a connection is still told so; beyond, it is cut."""

TOLD_PER_SECOND, TOLD_BURST = 5.0, 20
"""Of the handshakes that are too many, those of one address that are told so; the others are cut."""


class Place:
    """The place that a connection takes among those of its address, until it leaves it."""

    __slots__ = ("_held", "key")

    def __init__(self, key: str, held: dict[str, int]) -> None:
        self.key = key
        self._held: dict[str, int] | None = held
        held[key] = held.get(key, 0) + 1

    def leave(self) -> None:
        """Take none any more; once is enough."""
        held, self._held = self._held, None
        if held is None:
            return
        left = held[self.key] - 1
        if left:
            held[self.key] = left
        else:
            del held[self.key]


class Entry(NamedTuple):
    """What becomes of a connection that has come: its place, None where it is counted for nobody; what it is
    refused for; and whether it is cut without a word."""

    place: Place | None = None
    refusal: HeadwaterError | None = None
    cut: bool = False


FREE = Entry()


class Addresses:
    """The addresses of one server's clients."""

    def __init__(
        self,
        settings: ServerSettings,
        proxies: Proxies,
        *,
        now: Callable[[], float] = time.monotonic,
        excepts_loopback: bool = True,
    ) -> None:
        """`excepts_loopback` False is for tests, which have no other addresses."""
        self._most = settings.max_connections_per_address
        self._proxies = proxies
        self._excepts_loopback = excepts_loopback
        self._held: dict[str, int] = {}
        """Connections by address, of those that hold any."""
        self._handshakes = Rates(settings.max_handshakes_per_second, settings.handshake_burst, now=now)
        self._told = Rates(TOLD_PER_SECOND, TOLD_BURST, now=now)

    def __len__(self) -> int:
        """How many addresses hold a connection."""
        return len(self._held)

    def held_by(self, address: str) -> int:
        """How many connections the address holds, with all that count as the same."""
        return self._held.get(network_of(address), 0)

    def connect(self, address: str) -> Entry:
        """A connection has come from there, which is no proxy."""
        key = self._key(address)
        if not key:
            return FREE
        if self._handshakes.take(key):
            told = not self._told.take(key)
            return Entry(Place(key, self._held) if told else None, self._too_often(), cut=not told)
        held = self._held.get(key, 0)
        if held < self._most:
            return Entry(Place(key, self._held))
        if held > self._most * CUT_ABOVE:
            return Entry(None, self._too_many(), cut=True)
        return Entry(Place(key, self._held), self._too_many())

    def ask(self, address: str, *, handshake: bool) -> Place | None:
        """A request has come that a trusted proxy hands on for a client there; `handshake`: it opens a
        socket. The place is to be left when it is answered, or when the socket ends.

        :raises TooMany: the address holds as many as it may, or opens them too often.
        """
        key = self._key(address)
        if not key:
            return None
        if handshake and self._handshakes.take(key):
            raise self._too_often()
        if self._held.get(key, 0) >= self._most:
            raise self._too_many()
        return Place(key, self._held)

    def _key(self, address: str) -> str:
        """By what an address is counted; empty for whoever is excepted, or not known."""
        key = network_of(address)
        excepted = (self._excepts_loopback and is_loopback(address)) or self._proxies.trusts(address)
        return "" if excepted else key

    def _too_often(self) -> TooMany:
        most = self._handshakes.per_second
        text = f"{most:g} connections a second may be opened from one address"
        hint = "wait a little before the next; max_handshakes_per_second in [server] sets it" + _IF_PROXY
        return TooMany(text, hint=hint, limit=most).at("server.max_handshakes_per_second", most)

    def _too_many(self) -> TooMany:
        most = self._most
        text = f"{most} connections may be held from one address"
        hint = "close some; max_connections_per_address in [server] sets it" + _IF_PROXY
        return TooMany(text, hint=hint, limit=most).at("server.max_connections_per_address", most)


_IF_PROXY = ", and where the address is a proxy's, name it in trusted_proxies"
