"""One request and its answer: what was asked, and the one way to answer it.

Owns what every answer carries (trace id, CORS, the word that its content type is meant) and what becomes of a
body that nobody read.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.peer import read_headers
from headwater.response_rules import TRACE_HEADER
from headwater.server.http.cors import Cors, Header
from headwater.server.http.disconnect import CONNECTION, Connection
from headwater.server.http.incoming import read_path
from headwater.server.http.outgoing import encode_headers, is_silent
from headwater.steps.project.declare import ApiResponse
from headwater.trace import trace_of

LINGER_SECONDS = 5.0
LINGER_BYTES = 256 * 1024 * 1024
"""How long, and for how many bytes, a body is still taken after its answer was sent: a client that is cut off
while it sends sees a broken connection and not the answer."""

_SMALL = 64 * 1024
"""Unread bytes with which a connection is worth keeping."""

_TRACE = TRACE_HEADER.encode()
_NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")
_CLOSE: Header = (b"connection", b"close")


class Exchange:
    """A request being answered.

    `path` is as it came in, below where the application is mounted; `headers` have lower-case names. `unread`
    tells that a body was announced and is not read yet. `status` is 0 until the answer has begun. `step`
    names who answers.
    """

    __slots__ = (
        "_send",
        "headers",
        "method",
        "path",
        "receive",
        "scope",
        "status",
        "step",
        "trace",
        "unread",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.method: str = scope["method"]
        raw: bytes | None = scope.get("raw_path")
        # The common case stands here: a function for it costs as much as what it does.
        plain = raw is not None and not scope.get("root_path")
        self.path = raw.decode("latin-1") if raw is not None and plain else read_path(scope)
        self.headers = headers = read_headers(scope["headers"])
        self.trace = trace_of(headers)
        self.unread = "content-length" in headers or "transfer-encoding" in headers
        self.status = 0
        self.step = ""

    async def finish(self, response: ApiResponse, cors: Cors) -> int:
        """Send the answer whole; answers its status.

        Raises HandlerFailed, before anything is sent, for an answer that is not valid in HTTP.
        """
        headers = encode_headers(response)
        self._add_ours(headers, cors)
        cut = self.unread and self._is_cut()
        if cut:
            headers.append(_CLOSE)
        self.status = response.status
        body = b"" if is_silent(self.method, response.status) else response.body
        connection: Connection | None = self.scope.get(CONNECTION)
        if (
            connection is not None
            and not cut
            and connection.answer(self._send, response.status, headers, body)
        ):
            return self.status
        await self._send({"type": "http.response.start", "status": response.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": cut})
        if cut:
            await self._linger()
            await self._send({"type": "http.response.body", "body": b""})
        return self.status

    async def hand_over(self, app: ASGIApp, cors: Cors) -> None:
        """Let another application answer, under this trace id and these CORS rules. It finds `path` as
        "headwater.path" in its scope, and the trace id as "headwater.trace"."""

        async def receive() -> Message:
            message = await self.receive()
            if not message.get("more_body"):
                self.unread = False
            return message

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                self._add_ours(headers, cors)
                self.status = message["status"]
                message = {**message, "headers": headers}
            await self._send(message)

        scope = {**self.scope, "headwater.trace": self.trace.id, "headwater.path": self.path}
        await app(scope, receive, send)

    def _add_ours(self, headers: list[Header], cors: Cors) -> None:
        headers.append((_TRACE, self.trace.id.encode()))
        names = dict(headers)
        if _NO_SNIFF[0] not in names:
            headers.append(_NO_SNIFF)
        if cors.enabled and b"access-control-allow-origin" not in names:
            headers.extend(cors.headers(self.path, self.headers))

    def _is_cut(self) -> bool:
        """Whether so much of a body is unread that the connection ends with the answer."""
        announced = self.headers.get("content-length", "")
        return not (announced.isdecimal() and int(announced) <= _SMALL)

    async def _linger(self) -> None:
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0:
                    message = await self.receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body"):
                        return
                    left -= len(message["body"])
        except TimeoutError:
            return
