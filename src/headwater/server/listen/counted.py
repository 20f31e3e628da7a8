"""uvicorn's protocol, counted: how many connections there are in all and from one address, and how often one
opens another.

Owns what becomes of a connection that is one too many; who counts as an address is `addresses.py`'s.

- A stranger's connection is counted while it lasts, as the socket that it becomes, too.
- A trusted proxy's is counted for nobody; what it hands on is, for the client it tells: a request while it is
  answered, a socket while it lasts.
- One that speaks TLS is counted from before its handshake on, by `tls_listener.py`.
- A little above a limit, the first request is answered with what it is; far above, the connection is cut.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.server import ServerState

from headwater.config import ServerSettings
from headwater.errors import HeadwaterError
from headwater.observe import SILENT, Observer, tell_limit
from headwater.peer import Peer
from headwater.server.listen.addresses import CUT_ABOVE, FREE, Addresses, Entry
from headwater.server.listen.checked import CheckedProtocol, HeadConfig
from headwater.server.listen.refusals import refusing, too_many_connections


class CountedConfig(HeadConfig):
    """uvicorn's configuration, with what connections are counted by."""

    limits: ServerSettings
    addresses: Addresses
    observer: Observer = SILENT
    shaking: set[asyncio.Task[None]]
    """Connections that have not ended their handshake of TLS."""


def receive(config: CountedConfig, state: ServerState, address: str, *, uncounted: int = 0) -> Entry:
    """What becomes of a connection that has come from an address; `uncounted` is 1 where it is neither among
    the connections nor among those that shake hands yet."""
    most, held = config.limits.max_connections, len(state.connections) + len(config.shaking) + uncounted
    if held > most * CUT_ABOVE + 1:
        config.observer.limited("server.max_connections", most)
        return Entry(cut=True)
    entry = FREE if config.proxies.trusts(address) else config.addresses.connect(address)
    if entry.cut and entry.refusal is not None:
        tell_limit(config.observer, entry.refusal)
    if entry.refusal is None and held > most:
        return entry._replace(refusal=too_many_connections(most))
    return entry


class CountedProtocol(CheckedProtocol):
    """One connection, with no limits of its own."""

    def __init__(
        self,
        config: CountedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.entry: Entry | None = None
        """What becomes of it, once that is known."""
        self.is_connected = False
        self._config = config
        self._limits = config.limits
        self._observer = config.observer
        self._addresses = config.addresses
        self._refusal: HeadwaterError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Count it; what is too much is cut, or refused at its first request."""
        super().connection_made(transport)
        self.is_connected = True
        if self.entry is None:
            self.entry = receive(self._config, self.server_state, self.address)
            self.place = self.entry.place
        if self.entry.cut:
            transport.abort()
        elif self.entry.refusal is not None:
            self._refusal = self.entry.refusal
            self.app = refusing(self._refusal, self._tell)  # pyright: ignore[reportAttributeAccessIssue]

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.leave_place()
        super().connection_lost(exc)

    def count_request(self, *, opens_socket: bool) -> None:
        """See CheckedProtocol. One that comes while others of the connection are answered takes the place of
        those."""
        place = self._addresses.ask(self.address, handshake=opens_socket)
        self.leave_place()
        self.place = place

    def leave_place(self) -> None:
        """Nothing of it is under way for a client of a proxy, or the connection has ended."""
        if self.place is not None:
            self.place.leave()
            self.place = None

    def _tell(self, error: HeadwaterError) -> None:
        tell_limit(self._observer, error)
        if self._observer.listening:
            self._observer.refused(Peer("http", address=self.address), error)
