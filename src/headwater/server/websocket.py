"""One WebSocket, by RFC 6455, on the HTTP port. Owns the handshake, frames in and out, close codes and back
pressure.

uvicorn hands over the live transport of an upgraded request to this class (its `ws=` setting). Inbound frames
and the handshake are the `websockets` library's state machine; outbound frames come ready-made and shared,
and go to the transport in one write. Knows nothing of streams: what a message means is the session's
business.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol, cast

from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from headwater.config import SocketSettings

log = logging.getLogger("headwater.socket")
_quiet = logging.getLogger(
    "headwater.socket.frames"
)  # The library's own log lines; off, for they hold user data.
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


CLOSING_SECONDS = 2.0
"""How long a client may take to answer a close and to read what was sent before it; then it is cut off."""


class Session(Protocol):
    """What a socket's messages mean."""

    def message(self, text: str) -> None:
        """A whole text message came."""
        ...

    def drained(self) -> None:
        """The socket can take frames again after `offer` has refused some."""
        ...

    def closed(self) -> None:
        """The socket is ending: it takes no more frames. Called once."""
        ...


class Opening(Protocol):
    """Decides about handshakes and makes sessions; one for the whole server."""

    settings: SocketSettings
    sockets: set[WebSocket]

    def refuse(self, request: Request) -> tuple[HTTPStatus, str] | None:
        """Why this handshake is refused, or None."""
        ...

    def select(self, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """The subprotocol to speak of those that the client offers."""
        ...

    def session(self, socket: WebSocket, request: Request) -> Session:
        """The session of a socket that has just opened."""
        ...


class WebSocket(asyncio.Protocol):
    """One socket. It is a Subscriber: feeds offer frames to it."""

    __slots__ = (
        "_deadline",
        "_decoder",
        "_opening",
        "_parts",
        "_protocol",
        "_server_connections",
        "_session",
        "_write",
        "full_since",
        "heard",
        "pinged",
        "transport",
    )

    def __init__(self, opening: Opening, server_connections: set[Any]) -> None:
        self._opening = opening
        self._server_connections = server_connections
        self._session: Session | None = None
        self._parts: list[str] = []
        self._decoder: codecs.IncrementalDecoder | None = None
        self._deadline: asyncio.TimerHandle | None = None
        """Set once the socket is ending: when it is cut off."""
        self.full_since: float | None = None
        """Monotonic time since when the socket takes no frames, because its buffer is above its high-water
        mark or because it is ending; None while it does."""
        self.heard = 0.0
        """Monotonic time of the last bytes from the client."""
        self.pinged: float | None = None
        """Monotonic time of a ping that nothing was heard after."""
        self._protocol = ServerProtocol(
            select_subprotocol=lambda _, offered: opening.select(offered),
            max_size=opening.settings.max_frame_bytes,
            logger=_quiet,
        )

    # --- the transport's side -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport of an upgraded request."""
        self.transport = cast(asyncio.Transport, transport)
        self._write: Callable[[bytes], None] = self.transport.write
        high = self._opening.settings.high_water_bytes
        self.transport.set_write_buffer_limits(high=high, low=high // 4)
        self._server_connections.add(self)
        self._opening.sockets.add(self)
        self.heard = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._server_connections.discard(self)
        self._opening.sockets.discard(self)
        self._protocol.receive_eof()  # Its state is closed now: nothing is written any more.
        self._end()
        if self._deadline is not None:
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client: the request's head first, then frames."""
        self.heard = asyncio.get_running_loop().time()
        self.pinged = None
        self._protocol.receive_data(data)
        self._handle()

    def eof_received(self) -> None:
        """The client has closed its side; so do we, once it has read what was sent."""
        self._protocol.receive_eof()
        self._handle()
        self._end()

    def pause_writing(self) -> None:
        """The buffer is above the high-water mark: `offer` refuses from now on, and nothing more is read, so
        that a client cannot make the server pile up answers."""
        self.full_since = asyncio.get_running_loop().time()
        if self._deadline is None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The buffer has drained."""
        if not self.transport.is_closing():
            self.transport.resume_reading()
        if self._deadline is not None:
            return
        self.full_since = None
        self.heard = asyncio.get_running_loop().time()  # It reads: the pong timeout begins anew.
        if self._session is not None:
            self._session.drained()

    def shutdown(self) -> None:
        """uvicorn's word that the server stops: say so to the client and close."""
        self.close(CloseCode.SERVICE_RESTART, "the server is restarting")

    # --- the server's side ----------------------------------------------------------------------------------

    def offer(self, frames: bytes) -> bool:
        """Take frames unless the client is slow; see Subscriber."""
        if self.full_since is not None:
            return False
        self._write(frames)
        return True

    def ping(self, now: float) -> None:
        """Send a ping, to be answered before the ping timeout."""
        if self._protocol.state is OPEN:
            self.pinged = now
            self._protocol.send_ping(b"")
            self._send()

    def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason that the client sees. The connection ends when it has answered."""
        if self._protocol.state is OPEN:
            self._protocol.send_close(code, reason)
            self._send()
            self._end()

    def abort(self) -> None:
        """Let go at once, without what is still buffered."""
        self.transport.abort()

    # --- frames in ------------------------------------------------------------------------------------------

    def _handle(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif self._session is not None and isinstance(event, Frame):
                self._frame(event)
        self._send()
        if self._protocol.close_expected():
            self._end()
            if self._protocol.close_rcvd is not None:
                self.transport.close()

    def _end(self) -> None:
        """Take no more frames, and give the client a moment to read the last ones.

        Until it has closed its side too, or the moment is over, the connection stays and what comes is thrown
        away: data that meets a closed connection is answered by a reset, which can overtake the close frame.
        """
        if self._deadline is not None:
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(CLOSING_SECONDS, self.transport.abort)
        self.full_since = loop.time()
        if not self.transport.is_closing():
            self.transport.resume_reading()
        session, self._session = self._session, None
        if session is not None:
            session.closed()

    def _open(self, request: Request) -> None:
        refused = self._opening.refuse(request)
        response = self._protocol.accept(request) if refused is None else self._protocol.reject(*refused)
        self._protocol.send_response(response)
        self._send()
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._session = self._opening.session(self, request)
        else:
            self._end()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "this server takes text frames only")
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._text(frame)

    def _text(self, frame: Frame) -> None:
        """Gather a message of one or more fragments, decode it as UTF-8, hand it on when it is whole."""
        try:
            if frame.fin and not self._parts and self._decoder is None:
                text = bytes(frame.data).decode()
            else:
                text = self._gather(frame)
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "a text message must be UTF-8")
            return
        if text is not None and self._session is not None:
            self._session.message(text)

    def _gather(self, frame: Frame) -> str | None:
        """The whole text once the last fragment is in. Decoded as it comes, since bad bytes end the socket at
        once."""
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        if part := self._decoder.decode(bytes(frame.data), final=frame.fin):
            self._parts.append(
                part
            )  # Empty ones would be a list without bound: no limit of bytes counts them.
        if not frame.fin:
            return None
        text = "".join(self._parts)
        self._parts.clear()
        self._decoder = None
        return text

    def _fail(self, code: CloseCode, reason: str) -> None:
        try:
            self._protocol.fail(code, reason)
        except ProtocolError:
            log.debug("A socket failed twice: %s", reason)
        self._send()
        self._end()

    def _send(self) -> None:
        """Write what the state machine has to say: the handshake, pongs, close frames, the end."""
        if self.transport.is_closing():
            return
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                self.transport.write_eof()
