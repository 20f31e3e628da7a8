"""Frames of RFC 6455 on their way in: bytes to messages, with fragments put together. Owns the limit of a
message and its UTF-8; no transport, no handshake, no answer.

Single frames are read by the `websockets` library. Its whole protocol object is not used: it keeps the
handshake's request and the last frame of every open socket, 3 KB and more; an idle one here keeps nothing.
"""

from __future__ import annotations

import codecs
from collections.abc import Generator
from typing import NamedTuple

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

from headwater.errors import Limit

_CONTROL_BYTES = 125  # RFC 6455 section 5.5.


class Ping(NamedTuple):
    """A ping, to be answered with its payload."""

    payload: bytes


class Closing(NamedTuple):
    """A close frame, to be answered with its payload. Nothing follows it."""

    payload: bytes


Arrival = str | Ping | Closing


class Quiet:
    """A frame that brings nothing by itself: a pong, a part of a message."""


QUIET = Quiet()


class Violation(Exception):
    """The client broke a rule: the socket fails with this code and reason, and nothing more is read."""

    def __init__(self, code: CloseCode, reason: str, limit: Limit | None = None) -> None:
        """`limit` is the one that was met, if one was."""
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.limit = limit


class Inbound:
    """What came in on one socket and is not whole yet."""

    __slots__ = ("_bytes", "_decoder", "_limit", "_parsing", "_parts", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes: bytearray | None = None
        self._parsing: Generator[None, None, Frame] | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        """Set amid a fragmented message. Text is decoded as it comes: bad bytes end the socket at once."""
        self._parts: list[str] | None = None
        self._size = 0

    def add(self, data: bytes) -> None:
        """Take bytes that came in."""
        if self._bytes is None:
            self._bytes = bytearray(data)
        else:
            self._bytes += data

    @property
    def held(self) -> int:
        """Bytes of what is not whole or not read yet."""
        return len(self._bytes or b"") + self._size

    def let_go(self) -> None:
        """Keep nothing: a frame that is being read holds on to what came, in a circle."""
        self._bytes = self._parsing = self._parts = self._decoder = None
        self._size = 0

    def next(self) -> Arrival | Quiet | None:
        """What the next frame brings; None where it is not whole yet.

        :raises Violation: it breaks a rule.
        """
        if not self._bytes and self._parsing is None:
            self._bytes = None  # An idle socket keeps nothing.
            return None
        frame = self._next()
        return None if frame is None else self._take(frame)

    def _next(self) -> Frame | None:
        """The next frame, if it is whole."""
        if self._parsing is None:
            most = max(self._limit - self._size, _CONTROL_BYTES)
            self._parsing = Frame.parse(self._exactly, mask=True, max_size=most)
        try:
            next(self._parsing)
        except StopIteration as done:
            self._parsing = None
            return done.value
        except PayloadTooBig:
            raise self._too_big() from None
        except ProtocolError as error:
            raise Violation(CloseCode.PROTOCOL_ERROR, str(error)) from None
        return None

    def _exactly(self, size: int) -> Generator[None, None, bytes]:
        """Wait for so many bytes and take them."""
        while self._bytes is None or len(self._bytes) < size:
            yield
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken

    def _take(self, frame: Frame) -> Arrival | Quiet:
        data = bytes(frame.data)
        match frame.opcode:
            case Opcode.PING:
                return Ping(data)
            case Opcode.PONG:
                return QUIET
            case Opcode.CLOSE:
                return self._closing(data)
            case Opcode.TEXT | Opcode.BINARY:
                if self._decoder is not None:
                    raise Violation(CloseCode.PROTOCOL_ERROR, "expected a continuation frame")
                if frame.opcode is Opcode.BINARY:
                    raise Violation(CloseCode.UNSUPPORTED_DATA, "this server takes text frames only")
            case Opcode.CONT:
                if self._decoder is None:
                    raise Violation(CloseCode.PROTOCOL_ERROR, "unexpected continuation frame")
        return self._text(data, frame.fin)

    def _closing(self, data: bytes) -> Closing:
        try:
            Close.parse(data)
        except ProtocolError as error:
            raise Violation(CloseCode.PROTOCOL_ERROR, str(error)) from None
        except UnicodeDecodeError:
            raise Violation(CloseCode.INVALID_DATA, "the reason must be UTF-8") from None
        return Closing(data)

    def _text(self, data: bytes, final: bool) -> str | Quiet:
        """The whole text once its last fragment is in."""
        if self._size + len(data) > self._limit:
            raise self._too_big()
        try:
            if final and self._decoder is None:
                return data.decode()
            return self._gather(data, final)
        except UnicodeDecodeError:
            raise Violation(CloseCode.INVALID_DATA, "a text message must be UTF-8") from None

    def _gather(self, data: bytes, final: bool) -> str | Quiet:
        if self._decoder is None or self._parts is None:
            self._decoder, self._parts = codecs.getincrementaldecoder("utf-8")(), []
        # Empty parts would make a list without bound: no limit of bytes counts them.
        if part := self._decoder.decode(data, final):
            self._parts.append(part)
        self._size += len(data)
        if not final:
            return QUIET
        text = "".join(self._parts)
        self._decoder, self._parts, self._size = None, None, 0
        return text

    def _too_big(self) -> Violation:
        reason = f"a message may have {self._limit} bytes"
        return Violation(CloseCode.MESSAGE_TOO_BIG, reason, Limit("socket.max_frame_bytes", self._limit))
