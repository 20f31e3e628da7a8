"""Decides about WebSocket handshakes: which origins, how many sockets, which subprotocol, which session.

Owns the set of open sockets. Knows sessions only as something it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple

from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request
from websockets.typing import Subprotocol

from headwater.config import ServerSettings, SocketSettings
from headwater.errors import HeadwaterError, Limit, OriginRefused, Overloaded, RequestInvalid
from headwater.holdings import Holdings
from headwater.observe import SILENT, Observer, telling_refusals
from headwater.peer import Peer
from headwater.server.held import HeldBytes
from headwater.server.http.authentication import Authentication
from headwater.server.http.origins import Origins
from headwater.server.live.session import Session
from headwater.server.live.sessions import spoken
from headwater.server.live.turns import Turns
from headwater.server.live.websocket import WebSocket
from headwater.server.peers import CLIENT, UNTOLD, peer_of_handshake

MakeSession = Callable[[WebSocket, Peer], Session]


class OperatorsDoor(NamedTuple):
    """Where sockets of the server's operator come in: the path, and who decides whether it is one. `admit`
    raises HeadwaterError to refuse."""

    path: str
    admit: Callable[[Peer], None]


class SocketOpening:
    """The server's one Opening."""

    def __init__(
        self,
        server: ServerSettings,
        settings: SocketSettings,
        make_session: MakeSession,
        observer: Observer = SILENT,
        origins: Origins | None = None,
        who: Authentication | None = None,
        unread: HeldBytes[Any] | None = None,
        operators: OperatorsDoor | None = None,
    ) -> None:
        """`unread` is what all connections of the server hold that is not read, sockets or not."""
        self.settings = settings
        self.sockets: set[WebSocket] = set()
        self._opened: set[WebSocket] = set()
        """Those of them that were let in, which the observer was told."""
        self.turns = Turns()
        self.unfinished = HeldBytes(settings.unfinished_bytes, WebSocket.give_up_reading)
        self.unread: HeldBytes[Any] = HeldBytes(server.unread_bytes) if unread is None else unread
        self._server = server
        self._origins = Origins(server) if origins is None else origins
        self._who = who
        self._operators = operators
        self._make_session = make_session
        self._observer = observer

    def protocol(self, config: Any, server_state: Any, app_state: Any) -> WebSocket:
        """A protocol object for one upgraded request; the signature is uvicorn's (`ws=`)."""
        return WebSocket(self, server_state.connections, app_state.get(CLIENT, UNTOLD))

    def refuse(self, request: Request, *, secure: bool = False) -> tuple[HTTPStatus, str] | None:
        """Too many sockets, headers that contradict themselves, or a page from an origin that the settings do
        not allow."""
        refusal = self._refusal(request, secure)
        if refusal is None:
            return None
        error, text = refusal
        self._observer.refused(peer_of_handshake(request), error)
        return HTTPStatus(error.status), text

    def _refusal(self, request: Request, secure: bool) -> tuple[HeadwaterError, str] | None:
        most = self._server.max_connections
        if len(self.sockets) > most:
            self._observer.limited("server.max_connections", most)
            text = "The server holds as many sockets as it may; try again later.\n"
            return Overloaded(text.strip(), limit=most), text
        try:
            origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
        except MultipleValuesError as error:
            text = f"The header {error.args[0]} may be given once.\n"
            return RequestInvalid(text.strip()), text
        if origin is not None and not self._origins.allows(origin, host, secure=secure):
            self._origins.refused(origin)
            text = f"Pages from {origin} may not open sockets here; see [server] cors_origins.\n"
            return OriginRefused(text.strip(), origin=origin), text
        return None

    def select(self, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The version of the protocol to speak; see sessions.py."""
        return spoken(offered)

    def know(self, socket: WebSocket, request: Request) -> Coroutine[Any, Any, Peer] | None:
        """See Opening. What is refused is told the observer here."""
        if self._operators is not None and request.path.partition("?")[0] == self._operators.path:
            peer = peer_of_handshake(request, socket.transport, socket.told)
            return self._know_operator(self._operators, peer)
        if self._who is None or not self._who.asks:
            return None
        return self._know(self._who, peer_of_handshake(request, socket.transport, socket.told))

    async def _know(self, who: Authentication, peer: Peer) -> Peer:
        with telling_refusals(self._observer, peer):
            return await who.know(peer)

    async def _know_operator(self, door: OperatorsDoor, peer: Peer) -> Peer:
        """Neither the project's `authenticate` nor its rules have a say in it."""
        with telling_refusals(self._observer, peer):
            door.admit(peer)
        return replace(peer, operator=True)

    def ask_again(self) -> None:
        """Who is here may be somebody else by now: all sockets come again, with their cursors."""
        for socket in tuple(self.sockets):
            socket.send_away()

    def session(self, socket: WebSocket, request: Request, peer: Peer | None) -> Session:
        """A session for a socket that has opened."""
        peer = peer_of_handshake(request, socket.transport, socket.told) if peer is None else peer
        self._opened.add(socket)
        self._observer.accepted(peer)
        return self._make_session(socket, peer)

    def tell_holdings(self, holdings: Holdings) -> None:
        """Tell of what clients have not finished, and of what they have not read."""
        unfinished = Limit("socket.unfinished_bytes", self.settings.unfinished_bytes)
        holdings.add("unfinished messages", unfinished, lambda: self.unfinished.used)
        holdings.add("unread answers", self.unread_limit(), lambda: self.unread.used)

    def unread_limit(self) -> Limit:
        """The limit of what clients leave unread."""
        return Limit("server.unread_bytes", self._server.unread_bytes)

    def limited(self, limit: Limit) -> None:
        """A socket is closed for a limit that it met."""
        self._observer.limited(*limit)

    def left(self, socket: WebSocket) -> None:
        """A socket is gone."""
        self.sockets.discard(socket)
        if socket in self._opened:
            self._opened.remove(socket)
            self._observer.left("websocket")
