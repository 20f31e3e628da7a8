"""One HTTP connection: uvicorn's protocol, with the limits that it lacks.

Owns what a stranger may do to a connection: how many there are, how large and how slow a request may be, and
how long an answer may stay unread. Everything about one request is the application's.

A connection is in one of these states; `->` names what it may become.

- *New*: nothing came yet. Within `read_timeout` the first byte of a request, or it is closed without a word.
- *Too many*: it is one above a bound of `counted.py`, so that a refusal is its application -> parting. Far
  above, it was cut before it may say anything.
- *In a head* -> in a body, or refused: too large, too many lines, too late, not HTTP, a CONNECT.
- *In a body* -> answering, or refused: too little of it came within `read_timeout`, or too much that is none
  of it. Trailers are dropped. That the application does
  not read, or that earlier answers are due, is not the client's fault.
- *Answering*: `_unanswered` holds the requests of the connection whose answers are due, in their order: the
  first is written, those behind it are pipelined. At `MOST_WAITING` of them the rest stays unparsed in the
  `_backlog` until half are answered. An answer that is not read for `write_timeout` -> cut.
- *Idle* -> closed after `keepalive_timeout`.
- *WebSocket*: handed on at the end of the head.
- *Parting*: it was refused. Where the refusal can be the answer to the request at fault it is written, and
  what comes in is thrown away for `PARTING_SECONDS`: a client that is still sending would otherwise see a
  reset and no reason. Where an earlier answer is under way it is cut.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from starlette.types import Send
from uvicorn.server import ServerState

from headwater.errors import HeadwaterError, RequestInvalid
from headwater.server.held import HeldBytes
from headwater.server.http.cors import Header
from headwater.server.http.disconnect import CONNECTION, PATIENCE
from headwater.server.listen.arrival import Arrival
from headwater.server.listen.backlog import HEAD_BYTES, MOST_WAITING, Backlog
from headwater.server.listen.counted import CountedConfig, CountedProtocol
from headwater.server.listen.lean import Cycle
from headwater.server.listen.refusals import (
    MOST_HEADERS,
    headers_too_large,
    refusal_bytes,
    too_slow,
)
from headwater.server.listen.unframed import UnframedCycle
from headwater.server.listen.watches import IdleWatch, WriteWatch

_log = logging.getLogger("headwater.server.http")
_log.setLevel(logging.ERROR)
_log.addFilter(lambda record: not (record.exc_info and record.exc_info[0] is asyncio.CancelledError))
"""What uvicorn says of a connection, errors alone: broken requests fill no log. That a request
was cancelled is no news: the server stops."""

PARTING_SECONDS = 2.0
"""How long a refused client may take to read why; until then what it sends is thrown away."""


class HttpConfig(CountedConfig):
    """uvicorn's configuration, with the limits of `HttpSocket`."""

    unread: HeldBytes[HttpSocket]
    """Answers that clients do not read."""


class HttpSocket(CountedProtocol):
    """One connection, from its first byte until it ends or becomes a WebSocket. A Connection of its
    requests."""

    def __init__(
        self,
        config: HttpConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _log
        self.lost = False
        self.when_lost: Callable[[], None] | None = None
        self._unread_bytes = config.unread
        self._parting = self._handed_over = False
        self._unanswered: deque[Cycle] = deque()
        self._arrival = Arrival(self.loop.time())
        self._backlog = Backlog()
        self._read_watch: asyncio.TimerHandle | None = None
        self._idle_watch = IdleWatch(self.loop, self.timeout_keep_alive, self._idled)
        self._write_watch: WriteWatch | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take a connection, or say that there are too many."""
        super().connection_made(transport)
        self._write_watch = WriteWatch(self.loop, transport, self._limits.write_timeout, self._unread)
        if not transport.is_closing():
            self._watch_reading(self._limits.read_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; whoever is answering learns that nobody listens."""
        self._end_watches()
        self._unread_bytes.hold(self, 0)
        self._stop_answering()
        self.pipeline.clear()
        self._backlog.rest()
        super().connection_lost(exc)
        scope: dict[str, Any] | None = cast(Any, self.scope)
        if scope is not None:
            scope.pop(CONNECTION, None)  # It would keep the connection alive.

    def data_received(self, data: bytes) -> None:
        """Parse what came in, within the limits."""
        if self._parting:
            return
        self._idle_watch.interrupt()
        if self._backlog or len(data) > HEAD_BYTES or len(self._unanswered) >= MOST_WAITING:
            self._backlog.add(data)
            self._parse()
        else:  # Nearly always it is one piece, and nothing is before it.
            self._parse_piece(data)
            self._parsed()

    def _parse(self) -> None:
        """Parse what came, a piece at a time, until enough requests wait for their answers."""
        while self._backlog and not self._parting and len(self._unanswered) < MOST_WAITING:
            self._parse_piece(self._backlog.take(in_body=self._arrival.in_body))
        self._parsed()

    def _parse_piece(self, piece: bytes) -> None:
        arrival = self._arrival
        arrival.add(len(piece))
        super().data_received(piece)
        if arrival.beside_body > self._limits.max_header_bytes and not (self._handed_over or self._parting):
            self._refuse(headers_too_large(self._limits.max_header_bytes))

    def _parsed(self) -> None:
        """What follows the pieces that were parsed."""
        if self._handed_over:
            return
        if self._parting:
            self._backlog.rest()
        elif self._backlog:
            self.flow.pause_reading()
        if self._read_watch is None and self._arrival.in_message and not self._parting:
            self._watch_reading(self._limits.read_timeout)

    def _go_on(self) -> None:
        """Parse on: answers have left."""
        if self._backlog and not self.transport.is_closing():
            self._parse()
            if not self._backlog:
                self.flow.resume_reading()

    def pause_writing(self) -> None:
        """The client does not keep up with its answer."""
        super().pause_writing()
        self._unread_bytes.hold(self, self.transport.get_write_buffer_size())
        if self._write_watch is not None:
            self._write_watch.fall_behind()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._unread_bytes.hold(self, 0)
        if self._write_watch is not None:
            self._write_watch.catch_up()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._arrival.begin(self.loop.time())
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header is whole. One behind the body is a trailer: nobody checked it, so nobody gets it."""
        if self._arrival.in_headers:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._arrival.around = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """The headers are whole; their size is counted only if what arrived could be too much."""
        limit = self._limits.max_header_bytes
        size, lines = self._arrival.size, len(self.headers)
        self._arrival.end_headers(self.loop.time())
        if lines > MOST_HEADERS or (size > limit and self._header_bytes() > limit):
            self._refusal = headers_too_large(limit)
            raise self._refusal
        try:
            self.check_head()
        except HeadwaterError as error:
            self._refusal = error
            raise
        before = self.cycle
        self.scope[CONNECTION] = self
        super().on_headers_complete()
        if self.cycle is not before:
            self._unanswered.append(cast(Cycle, self.cycle))
            if len(self._unanswered) == 2:
                self.loop.call_later(PATIENCE, self._read_on)

    def _read_on(self) -> None:
        """Read again, once, behind a request that runs: a connection that is not read is not seen to end."""
        if self.pipeline and not self._backlog and not self.transport.is_closing():
            self.flow.resume_reading()

    def cycle_of(self, version: str) -> Cycle:
        """See LeanProtocol.cycle_of."""
        return UnframedCycle(self, keep_alive=False) if version == "1.0" else super().cycle_of(version)

    def on_message_complete(self) -> None:
        """The body is whole."""
        if not self.is_read_again:
            self._arrival.end()
        super().on_message_complete()

    # What the base class calls.

    def on_response_complete(self) -> None:
        """An answer was written; the last one of a connection may still be on its way."""
        self._unanswered.popleft()
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            if self.transport.is_closing():
                self._watch_parting()
            elif self._backlog:
                self.flow.pause_reading()
                if len(self._unanswered) == MOST_WAITING // 2:
                    self.loop.call_soon(self._go_on)
            return
        if self.from_proxy:
            self.leave_place()
        # What the base class does, less its timer.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_watch.begin()

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        super().timeout_keep_alive_handler()
        self._watch_parting()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the WebSocket protocol."""
        self._arrival.end()
        if self._refusal:
            self._refuse(self._refusal)
            return
        self._end_watches()
        self._handed_over = True
        super().handle_websocket_upgrade()
        protocol, rest = self.transport.get_protocol(), self._backlog.rest()
        if rest and isinstance(protocol, asyncio.Protocol):
            protocol.data_received(rest)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not take."""
        self._refuse(self._refusal or RequestInvalid("the request is not valid HTTP"))

    # What the application calls.

    def answer(self, send: Send, status: int, headers: Sequence[Header], body: bytes) -> bool:
        """See Connection.answer."""
        cycle = self._unanswered[0] if self._unanswered else None
        if cycle is None or send != cycle.send or not cycle.write_whole(status, headers, body):
            return False
        self.on_response_complete()
        return True

    # The limits.

    def _idled(self) -> None:
        if not self.transport.is_closing():
            self.timeout_keep_alive_handler()

    def _unread(self) -> None:
        self._observer.limited("server.write_timeout", self._limits.write_timeout)
        self.transport.abort()

    def give_up(self) -> None:
        """Too much is held for clients that do not read, and for this one the longest."""
        self._observer.limited("server.unread_bytes", self._limits.unread_bytes)
        self.transport.abort()

    def _watch_parting(self) -> None:
        """What is left of a connection that closes must be read in time, too."""
        if self._write_watch is not None:
            self._write_watch.begin()

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _watch_reading(self, seconds: float) -> None:
        self._read_watch = self.loop.call_later(seconds, self._check_reading)

    def _check_reading(self) -> None:
        """Look at what comes in, once it may be late.

        - It ends, or waits for a next request, which is the idle watch's: nothing.
        - Its time is not over: look again when it is.
        - Its bytes are kept back by us, or enough of a body came: it gets another `read_timeout`.
        - Else a request is refused, and a connection on which none ever began is closed.
        """
        self._read_watch = None
        arrival, limit = self._arrival, self._limits.read_timeout
        if self._parting or self.transport.is_closing() or not (arrival.in_message or not self.cycle):
            return
        left = arrival.left(self.loop.time(), limit)
        if left > 0:
            self._watch_reading(left)
        elif self._is_held_up() or arrival.is_enough():
            arrival.begin_period(self.loop.time())
            self._watch_reading(limit)
        elif arrival.in_message:
            self._refuse(too_slow(limit))
        else:
            self.transport.close()

    def _is_held_up(self) -> bool:
        """Whether the message that comes in waits for us: for earlier answers, or until its body is read."""
        earlier = len(self._unanswered) - (not self._arrival.in_headers)
        return earlier > 0 or self.flow.read_paused

    def _end_watches(self) -> None:
        if self._read_watch is not None:
            self._read_watch.cancel()
            self._read_watch = None
        if self._write_watch is not None:
            self._write_watch.end()
        self._idle_watch.end()

    def _stop_answering(self) -> None:
        """Tell each request of the connection that its client is gone; the base class tells only the last."""
        self.lost = True
        if self.when_lost:
            self.when_lost()
        for cycle in self._unanswered:
            cycle.disconnected, cycle.waiting_for_100_continue = True, False
            cycle.message_event.set()

    def _is_turn(self) -> bool:
        """Whether the next bytes to be written are those of the answer to the message that is coming in."""
        if not self._unanswered:
            return True
        return (
            self._arrival.in_body and len(self._unanswered) == 1 and not self._unanswered[0].response_started
        )

    def _refuse(self, error: HeadwaterError) -> None:
        """Answer the request that the application will not see, or not see whole, and end the connection."""
        is_turn = self._is_turn()
        self._stop_answering()
        self._parting = True
        self._end_watches()
        self._tell(error)
        if not is_turn:
            self.transport.abort()
            return
        self.transport.write(refusal_bytes(error, self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._read_watch = self.loop.call_later(PARTING_SECONDS, self.transport.abort)
