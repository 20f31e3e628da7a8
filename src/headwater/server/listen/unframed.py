"""An answer whose length is not known, to a client of HTTP/1.0: it ends with the connection.

Such a client knows no chunks and would take their sizes for a part of the body, as a proxy that speaks
HTTP/1.0 to servers (nginx, unless told otherwise) hands them on.
"""

from __future__ import annotations

from uvicorn._types import ASGISendEvent

from headwater.server.listen.lean import Cycle

_FRAMING = {b"content-length", b"transfer-encoding"}


class UnframedCycle(Cycle):
    """One request of HTTP/1.0 and its answer."""

    _unframed = False

    async def send(self, message: ASGISendEvent) -> None:
        """Pass on what the application sends; what has no length goes out as it is."""
        if message["type"] == "http.response.start":
            self._unframed = not any(name.lower() in _FRAMING for name, _ in message.get("headers", ()))
            self.chunked_encoding = False if self._unframed else None
        elif self._unframed and message["type"] == "http.response.body":
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
