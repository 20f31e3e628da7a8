"""How often one client may write without a step, over sockets and plain HTTP together. Owns who one client
is.

- Who has said who they are is their user, wherever they are connected: a user with ten tabs is one client.
- Else it is the address that they come from.
- Another backend with a service token is none: it writes for many.
- Loopback and trusted proxies say nothing of who it is, and are bounded by what one socket may send.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from headwater.config import StreamSettings
from headwater.errors import TooMany
from headwater.peer import Peer
from headwater.server.http.authority import is_loopback
from headwater.server.http.forwarded import Proxies
from headwater.server.rates import Rates, network_of


class WriteRates:
    """The writes of all clients of one server."""

    def __init__(
        self, settings: StreamSettings, proxies: Proxies, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._proxies = proxies
        self._rates = Rates(settings.max_writes_per_second, settings.write_burst, now=now)

    def __len__(self) -> int:
        """How many clients wrote lately."""
        return len(self._rates)

    def take(self, peer: Peer) -> None:
        """A client writes once: a set, an update, a delete or an event.

        :raises TooMany: it has written too often; `details["seconds"]` is when it may again.
        """
        key = self._key(peer)
        wait = self._rates.take(key) if key else 0.0
        if wait:
            most = self._rates.per_second
            hint = "Write less often; [streams] max_writes_per_second sets it."
            text = f"One client may write {most:g} times a second."
            raise TooMany(text, hint=hint, limit=most, seconds=round(wait, 3)).at(
                "streams.max_writes_per_second", most
            )

    def _key(self, peer: Peer) -> tuple[str, str] | None:
        if peer.service is not None:
            return None
        if peer.identity is not None:
            return "user", peer.identity
        address = peer.address
        if is_loopback(address) or self._proxies.trusts(address):
            return None
        network = network_of(address)
        return ("address", network) if network else None
