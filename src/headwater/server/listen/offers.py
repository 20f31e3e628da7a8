"""uvicorn's protocol, right about requests that offer to speak another one. Owns what the parser left unread.

The parser stops behind the head of a request that offers another protocol, whichever it is, and takes the
rest of what came for bytes of that protocol.

- A WebSocket: the connection is handed on, with what is left. A client need not wait for the answer before it
  sends its first frames.
- Anything else (clients of HTTP/2 offer it): HTTP says to ignore it. The head is written anew without the
  offer, and a new parser reads that and what is left.
"""

from __future__ import annotations

import asyncio
import sys

from httptools import HttpParserUpgrade, HttpRequestParser

from headwater.server.listen.heads import without_upgrade
from headwater.server.listen.lean import LeanProtocol


class OfferedProtocol(LeanProtocol):
    """One connection, without limits."""

    _chunk = _again = _plain_head = b""

    @property
    def is_read_again(self) -> bool:
        """Whether the head that the parser has just ended is read once more, so that its message goes on."""
        return bool(self._plain_head)

    def data_received(self, data: bytes) -> None:
        """Parse what came in, and what was written anew."""
        while data:
            self._chunk, self._again = data, b""
            super().data_received(data)
            data = self._again
        self._chunk = b""

    def on_headers_complete(self) -> None:
        """The head is whole: begin the request, or see that it offers what is not spoken here."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            method, version = self.parser.get_method(), self.parser.get_http_version().encode()
            self._plain_head = without_upgrade(b"%b %b HTTP/%b" % (method, self.url, version), self.headers)
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole, unless the parser took it for another protocol."""
        if not self._plain_head:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the WebSocket protocol, and what came behind the head."""
        left = self._left()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if left and isinstance(protocol, asyncio.Protocol):
            protocol.data_received(left)

    def _unsupported_upgrade_warning(self) -> None:
        """The offer is not for us: read the request again without it."""
        self._again, self._plain_head = self._plain_head + self._left(), b""
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _left(self) -> bytes:
        """What came with the head at which the parser has stopped, behind it."""
        stop = sys.exc_info()[1]
        return self._chunk[stop.args[0] :] if isinstance(stop, HttpParserUpgrade) else b""
