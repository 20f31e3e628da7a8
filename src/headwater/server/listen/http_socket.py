"""One HTTP connection: uvicorn's protocol, with the limits that it lacks.

Owns what a stranger may do to a connection: how many there are, how large and how slow a request may be, and
how long an answer may stay unread. Everything about one request is the application's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import uvicorn
from httptools import HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headwater.config import ServerSettings
from headwater.errors import HeadersTooLarge, HeadwaterError, Overloaded, RequestInvalid, RequestTooSlow
from headwater.observe import SILENT, Observer, tell_limit
from headwater.peer import Peer
from headwater.response_rules import TRACE_HEADER
from headwater.server.http.cors import Header
from headwater.server.http.disconnect import CONNECTION, PATIENCE
from headwater.server.http.outgoing import encode_headers
from headwater.server.http.problem import problem
from headwater.server.listen.heads import without_upgrade
from headwater.trace import new_trace

_log = logging.getLogger("headwater.server.http")
_log.setLevel(logging.ERROR)
_log.addFilter(lambda record: not (record.exc_info and record.exc_info[0] is asyncio.CancelledError))
"""What uvicorn says of a connection, errors alone: broken requests fill no log. That a request
was cancelled is no news: the server stops."""

MOST_HEADERS = 500
"""Header lines of one request."""

CUT_ABOVE = 1.1
"""How far above `max_connections` a connection still gets an answer that says so; beyond, it is cut."""

LEAST_BODY_BYTES = 1024
"""Bytes of a body that must arrive within each `read_timeout`; fewer and the client only holds a place."""

JOIN_BELOW = 64 * 1024
"""Bytes of a body up to which it is copied behind its headers, to be written with them."""

PARTING_SECONDS = 2.0
"""How long a refused client may take to read why; until then what it sends is thrown away."""


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration, with the limits of `HttpSocket`."""

    limits: ServerSettings
    observer: Observer = SILENT


class HttpSocket(HttpToolsProtocol):
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
        self._limits = config.limits
        self._observer = config.observer
        self._refusal: HeadwaterError | None = None
        self._parting = False
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._chunk = self._again = b""
        self._plain_head = b""
        # A message is a request from its first byte to the last one of its body. `_arrived` counts the bytes
        # since `_since`, which is when its headers or its body began, or the watch last looked at the body.
        self._in_message = False
        self._in_headers = True
        self._arrived = 0
        self._since = self.loop.time()
        self._idle_since: float | None = None
        self._idle_watch: asyncio.TimerHandle | None = None
        self._read_watch: asyncio.TimerHandle | None = None
        self._write_watch: asyncio.TimerHandle | None = None
        self._unsent = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take a connection, or say that there are too many."""
        super().connection_made(transport)
        most = self._limits.max_connections
        if len(self.connections) > most * CUT_ABOVE + 1:
            self._observer.limited("server.max_connections", most)
            transport.abort()
            return
        if len(self.connections) > most:
            error = Overloaded(f"the server holds {most} connections, its most", limit=most)
            self._refusal = error.at("server.max_connections", most)
            self.app = self._answer_refusal  # pyright: ignore[reportAttributeAccessIssue]
        self._watch_reading(self._limits.read_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; whoever is answering learns that nobody listens."""
        self._end_watches()
        self._stop_answering()
        super().connection_lost(exc)
        scope: dict[str, Any] | None = cast(Any, self.scope)
        if scope is not None:
            scope.pop(CONNECTION, None)  # It would keep the connection alive.

    def data_received(self, data: bytes) -> None:
        """Parse what came in, within the limits."""
        if self._parting:
            return
        self._arrived += len(data)
        self._idle_since = None
        while data:
            self._chunk, self._again = data, b""
            super().data_received(data)
            data = self._again
        self._chunk = b""
        if not self._in_message or self._parting:
            return
        if self._in_headers and self._arrived > self._limits.max_header_bytes:
            self._refuse(self._headers_too_large())
        elif self._read_watch is None:
            self._watch_reading(self._limits.read_timeout)

    def pause_writing(self) -> None:
        """The client does not keep up with its answer."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self._write_watch:
            self._write_watch.cancel()
            self._write_watch = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_message = self._in_headers = True
        self._since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are whole; their size is counted only if what arrived could be too much."""
        self._in_headers = False
        limit = self._limits.max_header_bytes
        if len(self.headers) > MOST_HEADERS or (self._arrived > limit and self._header_bytes() > limit):
            self._refusal = self._headers_too_large()
            raise self._refusal
        if self.parser.get_method() == b"CONNECT":
            raise RequestInvalid("this is no proxy")
        self._arrived = 0
        self._since = self.loop.time()
        if self.parser.should_upgrade() and not self._should_upgrade():
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            self._plain_head = without_upgrade(b"%b %b HTTP/%b" % (method, self.url, version), self.headers)
            return
        before = self.cycle
        cast(dict[str, Any], self.scope)[CONNECTION] = self
        super().on_headers_complete()
        if self.cycle is not before:
            self._unanswered.append(self.cycle)
            if len(self._unanswered) == 2:
                self.loop.call_later(PATIENCE, self._read_on)

    def _read_on(self) -> None:
        """Read again, once, behind a request that runs: a connection that is not read is not seen to end."""
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """The body is whole, unless the parser takes it for another protocol."""
        if not self._plain_head:
            self._in_message = False
            self._arrived = 0
            super().on_message_complete()

    # What the base class calls.

    def on_response_complete(self) -> None:
        """An answer was written; the last one of a connection may still be on its way."""
        self._unanswered.popleft()
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            if self.transport.is_closing():
                self._watch_writing()
            return
        # What the base class does, less its timer: one for each request costs more than all the rest here.
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._idle_since = self.loop.time()
        if self._idle_watch is None:
            self._watch_idling(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        super().timeout_keep_alive_handler()
        self._watch_writing()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the WebSocket protocol."""
        self._in_message = False
        if self._refusal:
            self._refuse(self._refusal)
            return
        self._end_watches()
        behind = self._behind_the_head()
        super().handle_websocket_upgrade()
        if behind:  # A client need not wait for the answer before it sends its first frames.
            protocol = self.transport.get_protocol()
            if isinstance(protocol, asyncio.Protocol):
                protocol.data_received(behind)

    def _behind_the_head(self) -> bytes:
        """What came with the head of a request at which the parser stopped, behind it."""
        stop = sys.exc_info()[1]
        return self._chunk[stop.args[0] :] if isinstance(stop, HttpParserUpgrade) else b""

    def _unsupported_upgrade_warning(self) -> None:
        """Read a request again that offers a protocol which is not spoken here.

        HTTP says to ignore the offer (clients of HTTP/2 make it), but the parser stops before the body then.
        """
        self._again, self._plain_head = self._plain_head + self._behind_the_head(), b""
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser could not take."""
        self._refuse(self._refusal or RequestInvalid("the request is not valid HTTP"))

    # What the application calls.

    def answer(self, send: Send, status: int, headers: Sequence[Header], body: bytes) -> bool:
        """See Connection.answer."""
        cycle = self._unanswered[0] if self._unanswered else None
        if cycle is None or send != cycle.send or cycle.response_started or cycle.disconnected:
            return False
        if not cycle.keep_alive or self.flow.write_paused:
            return False
        parts = [STATUS_LINE[status]]
        for lines in (self.server_state.default_headers, headers):
            for name, value in lines:
                parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n")
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        if len(body) <= JOIN_BELOW:
            parts.append(body)
            self.transport.write(b"".join(parts))
        else:
            self.transport.write(b"".join(parts))
            self.transport.write(body)
        cycle.message_event.set()
        self.on_response_complete()
        return True

    # The limits.

    def _watch_idling(self, seconds: float) -> None:
        self._idle_watch = self.loop.call_later(seconds, self._check_idling)

    def _check_idling(self) -> None:
        """End a connection on which no request came for long; the answer to one that came begins anew."""
        self._idle_watch = None
        if self._idle_since is None or self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._watch_idling(left)
        else:
            self.timeout_keep_alive_handler()

    def _header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _headers_too_large(self) -> HeadersTooLarge:
        limit = self._limits.max_header_bytes
        text = f"the request line and headers are above {limit} bytes or {MOST_HEADERS} lines"
        error = HeadersTooLarge(text, hint="max_header_bytes in [server] of headwater.toml", limit=limit)
        return error.at("server.max_header_bytes", limit)

    def _watch_reading(self, seconds: float) -> None:
        self._read_watch = self.loop.call_later(seconds, self._check_reading)

    def _check_reading(self) -> None:
        """Refuse a request that is late; a body is late when too little of it came since the last look."""
        self._read_watch = None
        limit = self._limits.read_timeout
        if self._parting or self.transport.is_closing() or not (self._in_message or not self.cycle):
            return
        left = self._since + limit - self.loop.time()
        held_up = len(self._unanswered) > (not self._in_headers) or self.flow.read_paused
        if left > 0 or held_up or (not self._in_headers and self._arrived >= LEAST_BODY_BYTES):
            if left <= 0:
                self._arrived, self._since, left = 0, self.loop.time(), limit
            self._watch_reading(left)
        elif self._in_message:
            error = RequestTooSlow(f"the request was not whole in time ({limit:g} s)", seconds=limit)
            self._refuse(error.at("server.read_timeout", limit))
        else:
            self.transport.close()

    def _watch_writing(self) -> None:
        if self._write_watch is None:
            self._unsent = self.transport.get_write_buffer_size()
            self._write_watch = self.loop.call_later(self._limits.write_timeout, self._check_writing)

    def _check_writing(self) -> None:
        self._write_watch = None
        if 0 < self._unsent <= self.transport.get_write_buffer_size():
            self._observer.limited("server.write_timeout", self._limits.write_timeout)
            self.transport.abort()
        elif self.flow.write_paused or self.transport.is_closing():
            self._watch_writing()

    def _end_watches(self) -> None:
        for watch in (self._read_watch, self._write_watch, self._idle_watch):
            if watch:
                watch.cancel()
        self._read_watch = self._write_watch = self._idle_watch = None

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
        in_body = self._in_message and not self._in_headers
        return in_body and len(self._unanswered) == 1 and not self._unanswered[0].response_started

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
        response = problem(error, trace := new_trace())
        lines: list[Header] = [
            *self.server_state.default_headers,
            *encode_headers(response),
            (TRACE_HEADER.encode(), trace.encode()),
            (b"connection", b"close"),
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
        self.transport.write(STATUS_LINE[response.status] + head + b"\r\n" + response.body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._read_watch = self.loop.call_later(PARTING_SECONDS, self.transport.abort)

    def _tell(self, error: HeadwaterError) -> None:
        if self._observer.listening:
            host = self.client[0] if self.client else ""
            self._observer.refused(Peer("http", address=host), error)
            tell_limit(self._observer, error)

    async def _answer_refusal(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application of a connection that is one too many."""
        if self._refusal:
            self._tell(self._refusal)
            response = problem(self._refusal, trace := new_trace())
            headers = encode_headers(response)
            headers += [(TRACE_HEADER.encode(), trace.encode()), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
