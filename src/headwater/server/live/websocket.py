"""One WebSocket, by RFC 6455, on the HTTP port. Owns the handshake, closing, and back pressure.

uvicorn hands over the live transport of an upgraded request to this class (its `ws=` setting). The handshake
is the `websockets` library's; frames that come in are read by `inbound.py`; those that go out come ready-made
and shared, and go to the transport in one write. Knows nothing of streams: what a message means is the
session's business.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast

from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from headwater.errors import HeadwaterError, Limit
from headwater.peer import Peer
from headwater.server.http.problem import what_to_do
from headwater.server.live.inbound import Closing, Inbound, Ping, Violation
from headwater.server.live.session import Knowing, Opening, Session
from headwater.server.live.turns import MESSAGE, PAYLOAD_BYTES
from headwater.server.peers import UNTOLD, Told

log = logging.getLogger("headwater.socket")
_quiet = logging.getLogger("headwater.socket.handshake")  # The library's log lines; off: they hold user data.
_quiet.disabled = True  # Not merely unheard: whoever listens to all loggers would hear of tokens.


CLOSING_SECONDS = 2.0
"""How long a client may take to answer a close and to read what was sent before it; then it is cut off."""


class WebSocket(asyncio.Protocol):
    """One socket. It is a Subscriber with an outlet: feeds offer frames to it, or write them."""

    __slots__ = (
        "_deadline",
        "_frames_left",
        "_inbound",
        "_knowing",
        "_opening",
        "_own",
        "_server_connections",
        "full_since",
        "has_more",
        "heard",
        "pinged",
        "session",
        "told",
        "transport",
    )

    def __init__(self, opening: Opening, server_connections: set[Any], told: Told = UNTOLD) -> None:
        self._opening = opening
        self._server_connections = server_connections
        self.told = told
        self.session: Session | None = None
        self._inbound: Inbound | None = None
        """Set while frames are read: from the handshake until the client's close frame or its first fault."""
        self._deadline: asyncio.TimerHandle | None = None
        """Set once the socket is ending: when it is cut off."""
        self._knowing: asyncio.Task[None] | None = None
        """Set while its handshake waits to be answered, until it is known who asks."""
        self._frames_left = float(opening.settings.frame_burst)
        """How many frames the client may still send at once; grows with time."""
        self._own = 0
        """Bytes in its buffer that no other socket holds, at most; see `offer`."""
        self.has_more = False
        """Whether it waits for its turn to read on; nothing more is taken from the client meanwhile."""
        self.full_since: float | None = None
        """Monotonic time since when the socket takes no frames, because its buffer is above its high-water
        mark or because it is ending; None while it does."""
        self.heard = 0.0
        """Monotonic time of the last bytes from the client."""
        self.pinged: float | None = None
        """Monotonic time of a ping that nothing was heard after."""

    # --- the transport's side -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport of an upgraded request."""
        self.transport = cast(asyncio.Transport, transport)
        high = self._opening.settings.high_water_bytes
        self.transport.set_write_buffer_limits(high=high, low=high // 4)
        self._server_connections.add(self)
        self._opening.sockets.add(self)
        self.heard = asyncio.get_running_loop().time()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._server_connections.discard(self)
        self._opening.left(self)
        if self.told.place is not None:
            self.told.place.leave()
        self._stop_reading()
        self._end()
        self._opening.unread.hold(self, 0)
        if self._deadline is not None:
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes from the client: the request's head first, whole as uvicorn gives it, then frames."""
        self._hear()
        self.pinged = None
        if self._inbound is not None:
            self._inbound.add(data)
            self._ask_turn()
        elif self._deadline is None and self._knowing is None:
            self._shake(data)

    def _hear(self) -> None:
        """The client is there; with the time since it was heard last, it has earned so many frames more."""
        now, settings = asyncio.get_running_loop().time(), self._opening.settings
        earned = (now - self.heard) * settings.max_frames_per_second
        self._frames_left = min(self._frames_left + earned, settings.frame_burst)
        self.heard = now

    def eof_received(self) -> None:
        """The client has closed its side; so do we, once it has read what was sent."""
        self._end()

    def pause_writing(self) -> None:
        """The buffer is above the high-water mark: `offer` refuses from now on, and nothing more is read, so
        that a client cannot make the server pile up answers."""
        self.full_since = asyncio.get_running_loop().time()
        self._opening.unread.hold(self, min(self._own, self.transport.get_write_buffer_size()))
        if self._deadline is None and not self.transport.is_closing():
            self.transport.pause_reading()
        if self.session is not None:
            self.session.filled()

    def resume_writing(self) -> None:
        """The buffer has drained."""
        self._opening.unread.hold(self, 0)
        if self._deadline is not None:
            self._read_on()
            return
        self.full_since = None
        self._hear()  # It reads: the pong timeout begins anew.
        if self._inbound is not None and self._inbound.held:
            self._ask_turn()  # What came before it was full.
        self._read_on()
        if self.session is not None:
            self.session.drained()

    def shutdown(self) -> None:
        """uvicorn's word that the server stops: say so to the client and close."""
        self.close(CloseCode.SERVICE_RESTART, "the server is restarting")

    # --- the server's side ----------------------------------------------------------------------------------

    @property
    def outlet(self) -> asyncio.Transport:
        """Where frames go."""
        return self.transport

    @property
    def is_full(self) -> bool:
        """Whether it takes no frames now."""
        return self.full_since is not None

    def offer(self, frames: bytes) -> bool:
        """Take frames unless the client is slow; see Subscriber.

        They are answers and pages of a catch-up, made for this socket alone, so what is not read counts. What
        is live is written by the outlet, is shared, and counts among the rings.
        """
        if self.full_since is not None:
            return False
        if self.session is None or not self.session.shares:
            self._own = min(self._own, self.transport.get_write_buffer_size()) + len(frames)
        self.transport.write(frames)
        return True

    def ping(self, now: float) -> None:
        """Send a ping, to be answered before the ping timeout."""
        if self._deadline is None and self._knowing is None:
            self.pinged = now
            self._control(Opcode.PING, b"")

    def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason that the client sees. The connection ends when it has answered."""
        if self._knowing is not None:
            self.abort()
        elif self._deadline is None:
            self._control(Opcode.CLOSE, Close(code, reason).serialize())
            self._end()

    def send_away(self) -> None:
        """Have the client come again, if its socket is open."""
        if self.session is not None:
            self.close(CloseCode.SERVICE_RESTART, "come again")

    def abort(self) -> None:
        """Let go at once, without what is still buffered."""
        self.transport.abort()

    # --- the handshake --------------------------------------------------------------------------------------

    def _shake(self, head: bytes) -> None:
        """Answer the request, and open the session if the answer is yes."""
        opening = self._opening
        library = ServerProtocol(select_subprotocol=lambda _, offered: opening.select(offered), logger=_quiet)
        library.receive_data(head)
        for request in library.events_received():
            if isinstance(request, Request):
                refused = opening.refuse(request, secure=self.told.secure)
                response = library.accept(request) if refused is None else _reject(library, *refused)
                opens = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
                knowing = opening.know(self, request) if opens else None
                if knowing is not None:
                    self.transport.pause_reading()
                    waiting = self._shake_known(library, request, response, knowing)
                    self._knowing = asyncio.get_running_loop().create_task(waiting)
                    return
                self._respond(library, response)
                if opens:
                    self._open(request, None)
                    return
        self._answer(library)
        self._end()

    async def _shake_known(
        self, library: ServerProtocol, request: Request, response: Response, knowing: Knowing
    ) -> None:
        """Answer the request once it is known who asks. Nothing is read meanwhile."""
        try:
            peer = await knowing
        except HeadwaterError as error:
            peer, response = None, _reject(library, HTTPStatus(error.status), f"{error.message}\n")
        except Exception:
            log.exception("Who opens a socket could not be told")
            peer, response = None, library.reject(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed.\n")
        self._knowing = None
        self._respond(library, response)
        if peer is None:
            self._answer(library)
            self._end()
        else:
            self._open(request, peer)
        self._read_on()

    def _respond(self, library: ServerProtocol, response: Response) -> None:
        library.send_response(response)
        self._answer(library)

    def _open(self, request: Request, peer: Peer | None) -> None:
        self._inbound = Inbound(self._opening.settings.max_frame_bytes)
        self.session = self._opening.session(self, request, peer)

    def _answer(self, library: ServerProtocol) -> None:
        for data in library.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self._finish_writing()

    # --- frames in ------------------------------------------------------------------------------------------

    def read(self, most: int) -> int:
        """Read frames that cost about that much; see Turns.

        It stops where nothing whole is left, the client has sent too many, the socket is full (its answers
        would pile up: it reads on once it has drained), or the share is used up.
        """
        spent, whole, brought = 0, True, False
        try:
            while spent < most and self._inbound is not None and self._may_read:
                arrival = self._inbound.next()
                if arrival is None:
                    whole = False
                    break
                spent += 1
                self._count()
                if isinstance(arrival, str):
                    brought = True
                    spent += MESSAGE + len(arrival) // PAYLOAD_BYTES
                    if self.session is not None:
                        self.session.message(arrival)
                elif isinstance(arrival, Ping):
                    self._control(Opcode.PONG, arrival.payload)
                elif isinstance(arrival, Closing):
                    self._answer_close(arrival)
        except Violation as violation:
            self._fail(violation)
        except BaseException:
            self.transport.abort()  # A fault of ours: it would wait for a turn that nobody gives it.
            raise
        self._rest(more=whole and self._may_read, brought=brought)
        return spent

    @property
    def _may_read(self) -> bool:
        """Whether its client can be answered, or is only waited for to end."""
        return self.full_since is None or self._deadline is not None

    def _ask_turn(self) -> None:
        """Read what came, now or in turn."""
        if not self.has_more and not self._opening.turns.read(self):
            self._wait()

    def _wait(self) -> None:
        self.has_more = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _count(self) -> None:
        self._frames_left -= 1
        if self._frames_left < 0:
            most = self._opening.settings.max_frames_per_second
            reason = f"a client may send {most} frames a second"
            limit = Limit("socket.max_frames_per_second", most)
            raise Violation(CloseCode.POLICY_VIOLATION, reason, limit)

    def _rest(self, *, more: bool, brought: bool) -> None:
        """Wait for the next turn, or for more from the client. `brought`: a message has become whole."""
        held = 0 if self._inbound is None else self._inbound.held
        if brought and held:
            self._opening.unfinished.hold(self, 0)  # What it holds now began just now.
        self._opening.unfinished.hold(self, held)
        if more and held and self._inbound is not None:
            self._wait()
        elif self.has_more:
            self.has_more = False
            self._read_on()

    def _read_on(self) -> None:
        """Take what the client sends, unless it waits for a turn or cannot be answered."""
        if not self.has_more and self._may_read and not self.transport.is_closing():
            self.transport.resume_reading()

    def give_up(self) -> None:
        """Too much is held for clients that do not read, and for this one the longest."""
        self._opening.limited(self._opening.unread_limit())
        self.abort()

    def give_up_reading(self) -> None:
        """End for what all sockets hold together of messages that are not whole."""
        limit = Limit("socket.unfinished_bytes", self._opening.settings.unfinished_bytes)
        self._fail(Violation(CloseCode.TRY_AGAIN_LATER, "too many messages are unfinished", limit))

    def _stop_reading(self) -> None:
        inbound, self._inbound = self._inbound, None
        if inbound is not None:
            inbound.let_go()
        self._opening.unfinished.hold(self, 0)

    def _fail(self, violation: Violation) -> None:
        """Nothing more is read."""
        self._stop_reading()
        if violation.limit is not None:
            self._opening.limited(violation.limit)
        self.close(violation.code, violation.reason)
        self._finish_writing()

    def _answer_close(self, closing: Closing) -> None:
        """Both sides have said goodbye, or do now: the server ends the connection, once all is sent."""
        self._stop_reading()
        if self._deadline is None:
            self._control(Opcode.CLOSE, closing.payload)
            self._end()
        self.transport.close()

    def _control(self, opcode: Opcode, payload: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(Frame(opcode, payload).serialize(mask=False))

    def _finish_writing(self) -> None:
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def _end(self) -> None:
        """Take no more frames, and give the client a moment to read the last ones.

        Until it has closed its side too, or the moment is over, the connection stays and what comes is thrown
        away: data that meets a closed connection is answered by a reset, which can overtake the close frame.
        """
        if self._knowing is not None:
            self._knowing.cancel()
        if self._deadline is not None:
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(CLOSING_SECONDS, self.transport.abort)
        self.full_since = loop.time()
        self._read_on()
        session, self.session = self.session, None
        if session is not None:
            session.closed()


def _reject(library: ServerProtocol, status: HTTPStatus, text: str) -> Response:
    """The library's refusal, with what tells a program what to do about it."""
    response = library.reject(status, text)
    for name, value in what_to_do(status):
        response.headers[name] = value
    return response
