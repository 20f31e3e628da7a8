"""uvicorn's protocol, counted: how many connections there are in all and from one address, and how often one
opens another.

Owns what becomes of a connection that is one too many; who counts as an address is `addresses.py`'s.

- A stranger's connection is counted while it lasts, as the socket that it becomes, too.
- A trusted proxy's is counted for nobody; what it hands on is, for the client it tells: a request while it is
  answered, a socket while it lasts.
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
from headwater.server.listen.addresses import CUT_ABOVE, Addresses
from headwater.server.listen.checked import CheckedProtocol, HeadConfig
from headwater.server.listen.refusals import refusing, too_many_connections


class CountedConfig(HeadConfig):
    """uvicorn's configuration, with what connections are counted by."""

    limits: ServerSettings
    addresses: Addresses
    observer: Observer = SILENT


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
        self._limits = config.limits
        self._observer = config.observer
        self._addresses = config.addresses
        self._refusal: HeadwaterError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Count it; what is too much is cut, or refused at its first request."""
        super().connection_made(transport)
        most = self._limits.max_connections
        if len(self.connections) > most * CUT_ABOVE + 1:
            self._observer.limited("server.max_connections", most)
            transport.abort()
            return
        refusal: HeadwaterError | None = None
        if not self.from_proxy:
            entry = self._addresses.connect(self.address)
            self.place, refusal = entry.place, entry.refusal
            if entry.cut and refusal is not None:
                tell_limit(self._observer, refusal)
                transport.abort()
                return
        if refusal is None and len(self.connections) > most:
            refusal = too_many_connections(most)
        if refusal is not None:
            self._refusal = refusal
            self.app = refusing(refusal, self._tell)  # pyright: ignore[reportAttributeAccessIssue]

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
