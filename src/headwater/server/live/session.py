"""What a socket asks of others: who opens it and with what session, and what its messages mean. Contracts
alone."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from websockets.http11 import Request
from websockets.typing import Subprotocol

from headwater.config import SocketSettings
from headwater.errors import Limit
from headwater.model import Subscriber
from headwater.peer import Peer
from headwater.server.held import HeldBytes
from headwater.server.live.attendance import Guest
from headwater.server.live.rejudging import Follower
from headwater.server.live.turns import Turns

if TYPE_CHECKING:
    from headwater.server.live.websocket import WebSocket


class Socket(Subscriber, Protocol):
    """What a session asks of its socket."""

    def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason that the client sees."""
        ...

    def send_away(self) -> None:
        """Have the client come again."""
        ...


class Session(Guest, Follower, Protocol):
    """What a socket's messages mean, and who is at its other end."""

    shares: bool
    """Whether what it offers to its socket is offered to others, too, and counted elsewhere."""

    def message(self, text: str) -> None:
        """A whole text message came."""
        ...

    def filled(self) -> None:
        """The socket takes no frames from now on."""
        ...

    def drained(self) -> None:
        """The socket can take frames again."""
        ...

    def closed(self) -> None:
        """The socket is ending: it takes no more frames. Called once."""
        ...


Knowing = Coroutine[Any, Any, Peer]


class Opening(Protocol):
    """Decides about handshakes and makes sessions; one for the whole server."""

    settings: SocketSettings
    sockets: set[WebSocket]
    turns: Turns
    unfinished: HeldBytes[WebSocket]
    unread: HeldBytes[Any]

    def refuse(self, request: Request, *, secure: bool) -> tuple[HTTPStatus, str] | None:
        """Why this handshake is refused, or None."""
        ...

    def select(self, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The subprotocol to speak of those that the client offers."""
        ...

    def know(self, socket: WebSocket, request: Request) -> Knowing | None:
        """Who opens a socket, where that is to be asked; None where nobody says so. Awaited, it raises
        HeadwaterError to refuse."""
        ...

    def session(self, socket: WebSocket, request: Request, peer: Peer | None) -> Session:
        """The session of a socket that has just opened, for a peer that was asked about."""
        ...

    def left(self, socket: WebSocket) -> None:
        """A socket, open or not yet, is gone."""
        ...

    def unread_limit(self) -> Limit:
        """The limit of what clients leave unread."""
        ...

    def limited(self, limit: Limit) -> None:
        """A socket is closed for a limit that it met."""
        ...
