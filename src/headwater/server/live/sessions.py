"""Which version of the wire protocol a socket speaks. Owns the table of subprotocols and of the sessions that
speak them: a new version is one line in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from websockets.typing import Subprotocol

from headwater.clock import Stamps
from headwater.config import SocketSettings
from headwater.observe import SILENT, Observer
from headwater.peer import SUBPROTOCOL as TOKEN_SUBPROTOCOL
from headwater.peer import Peer
from headwater.protocol.clients.v0 import V0Wire
from headwater.protocol.clients.v1 import SUBPROTOCOL
from headwater.server.live.attendance import Attendance
from headwater.server.live.cancelling import CancelItem
from headwater.server.live.client_writes import ClientWrites
from headwater.server.live.gate import Gate
from headwater.server.live.session import Session
from headwater.server.live.session_v0 import V0Session
from headwater.server.live.session_v1 import V1Session
from headwater.server.live.v1_streams import V1Streams
from headwater.server.live.websocket import WebSocket
from headwater.streams.presence import Presence
from headwater.streams.realm import Realms

AUTHORIZATION = Subprotocol(TOKEN_SUBPROTOCOL)
"""The old clients' way to bring a token: they offer `Authorization` and then the token itself as
subprotocols."""


class Sessions:
    """Makes the session of each socket."""

    def __init__(
        self,
        realms: Realms,
        presence: Presence,
        gate: Gate,
        settings: SocketSettings,
        stamps: Stamps,
        cancel: CancelItem,
        observer: Observer = SILENT,
        guests: Attendance | None = None,
        writes: ClientWrites | None = None,
    ) -> None:
        self.writes = writes
        self.realms = realms
        self.presence = presence
        self.gate = gate
        self.settings = settings
        self.cancel = cancel
        self.observer = observer
        self.guests = Attendance() if guests is None else guests
        self.v0 = V0Wire(stamps)
        self.v1 = V1Streams(realms)

    def open(self, socket: WebSocket, peer: Peer) -> Session:
        """The session of a socket that has just opened. Who offers no version that is known speaks the
        oldest, as old clients without a token do."""
        offered = peer.headers.get("sec-websocket-protocol", "").split(",")
        version = spoken([Subprotocol(one.strip()) for one in offered])
        return VERSIONS[version or AUTHORIZATION](self, socket, peer)


VERSIONS: Mapping[Subprotocol, Callable[[Sessions, WebSocket, Peer], Session]] = {
    Subprotocol(SUBPROTOCOL): lambda of, socket, peer: V1Session(
        socket,
        of.v1,
        of.presence,
        of.gate,
        of.settings,
        peer,
        of.cancel,
        of.observer,
        of.guests,
        of.writes,
    ),
    AUTHORIZATION: lambda of, socket, peer: V0Session(
        socket,
        of.v0,
        of.realms.hub_of,
        of.gate,
        of.settings,
        peer,
        of.observer,
        of.realms.catalog.when_declared,
        of.guests,
    ),
}
"""The best first."""


def spoken(offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The version to speak of those that a client offers, or None: a browser closes the socket if none of its
    offers is taken."""
    return next((known for known in VERSIONS if known in offered), None)
