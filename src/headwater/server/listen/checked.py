"""uvicorn's protocol, with a look at each head before anybody else sees it: what HTTP forbids there is
refused, and what a proxy in front says of the request takes the place of what the connection shows.

Owns the rewriting of a head. `Forwarded` and the like are read by `forwarded.py`, rules of heads are in
`head_rules.py`.

- No proxy is trusted: heads stay as they are, whatever they claim.
- The connection is a trusted proxy's: client, scheme and host of the request become those that it tells, and
  `X-Forwarded-For`, `-Proto` and `-Host` say just these, so that a step that reads them reads the truth.
- It is a stranger's: those headers are dropped.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from headwater.errors import RequestInvalid
from headwater.server.http.forwarded import Proxies, is_claim
from headwater.server.http.hosts import Hosts
from headwater.server.http.incoming import ROOT
from headwater.server.listen.head_rules import check_head
from headwater.server.listen.offers import OfferedProtocol
from headwater.server.peers import CLIENT, Place, Told


class HeadConfig(uvicorn.Config):
    """uvicorn's configuration, with what heads are held against. `prefix` is the path below which a proxy
    shows the server, "" for none."""

    hosts: Hosts
    proxies: Proxies
    prefix = ""


class CheckedProtocol(OfferedProtocol):
    """One connection, without limits."""

    def __init__(
        self,
        config: HeadConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._hosts, self._proxies, self._prefix = config.hosts, config.proxies, config.prefix
        self._is_fronted = self._proxies.any or bool(self._prefix)
        self.from_proxy = False
        """Whether the connection is a trusted proxy's."""
        self.place: Place | None = None
        """What is to be left when the connection, or the socket that it becomes, has ended."""

    @property
    def address(self) -> str:
        """Who sent the head that came last, as far as is known."""
        scope: dict[str, Any] | None = cast(Any, self.scope)
        client = self.client if scope is None else scope["client"]
        return client[0] if client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See whose it is."""
        super().connection_made(transport)
        self.from_proxy = self._proxies.any and self._proxies.trusts(self.client[0] if self.client else "")

    def check_head(self) -> None:
        """Look at the head that is whole, and rewrite it by what is in front of the server.

        :raises HeadwaterError: it is refused.
        """
        if self.parser.get_method() == b"CONNECT":
            raise RequestInvalid("this is no proxy")
        offers = self.parser.should_upgrade()
        opens_socket = offers and self._should_upgrade()
        check_head(self.parser.get_http_version(), self.headers, self._hosts, opens_socket=opens_socket)
        if opens_socket == offers:  # Else it is read again, without the offer.
            if self._is_fronted:
                self._rewrite()
            if self.from_proxy:
                self.count_request(opens_socket=opens_socket)

    def count_request(self, *, opens_socket: bool) -> None:
        """A trusted proxy hands on a request, whose client is known by now.

        :raises HeadwaterError: that client has too many.
        """

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on, and tell who its client is."""
        secure = self.scope["scheme"] == "https"
        place, self.place = self.place, None
        if self.from_proxy or secure or place is not None:
            told = Told(self.address if self.from_proxy else "", secure, place)
            self.app_state = {**self.app_state, CLIENT: told}
        super().handle_websocket_upgrade()

    def _rewrite(self) -> None:
        prefix = self._prefix
        if prefix and self.url.startswith(prefix.encode()):
            self._take_off(len(prefix))
        if self._proxies.any:
            prefix = self._believe() or prefix
        if prefix:
            self.scope[ROOT] = prefix

    def _take_off(self, length: int) -> None:
        """The path below the prefix; one that only begins alike stays."""
        rest = self.url[length:]
        if rest[:1] in (b"", b"?"):
            self.url = b"/" + rest
        elif rest[:1] == b"/":
            self.url = rest

    def _believe(self) -> str:
        """Replace what the head claims by what is known; the prefix that was taken off, if one was told."""
        claimed = self.headers[:]
        self.headers[:] = [line for line in claimed if not is_claim(line[0])]
        if not self.from_proxy:
            return ""
        scope = self.scope
        told = self._proxies.read(claimed, self.address, scope["scheme"])
        scope["client"], scope["scheme"] = (told.address, 0), told.scheme
        if told.host is not None:
            self._hosts.check(told.host)
            self.headers[:] = [line for line in self.headers if line[0] != b"host"]
            self.headers.append((b"host", told.host.encode("latin-1")))
        host = next((value for name, value in self.headers if name == b"host"), b"")
        self.headers += [
            (b"x-forwarded-for", told.address.encode()),
            (b"x-forwarded-proto", told.scheme.encode()),
            (b"x-forwarded-host", host),
        ]
        return told.prefix
