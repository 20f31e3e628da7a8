"""How a request begins and is answered whole: uvicorn's way, less what nothing here uses (an access log,
`limit_concurrency`, variables of contexts). Each request walks it.

Owns no rule and no limit. What uvicorn does in the functions that are replaced here is fingerprinted in
`tests/unit/test_listen_parts.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from headwater.server.http.cors import Header

JOIN_BELOW = 64 * 1024
"""Bytes of a body up to which it is copied behind its headers, to be written with them."""


class Cycle(RequestResponseCycle):
    """One request and its answer. What is the same for nearly all stands on the class until it changes."""

    access_log = False
    disconnected = response_started = response_complete = False
    more_body = True
    chunked_encoding: bool | None = None
    expected_content_length = 0

    def __init__(self, protocol: LeanProtocol, *, keep_alive: bool) -> None:  # pyright: ignore[reportMissingSuperCall]
        self.scope = protocol.scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.default_headers = protocol.server_state.default_headers
        self.message_event = asyncio.Event()
        self.on_response = protocol.on_response_complete
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()

    def write_whole(self, status: int, headers: Iterable[Header], body: bytes) -> bool:
        """Write an answer at once, as two messages to `send` would, but for what follows an answer; False
        where only they can, and then nothing is written."""
        if self.response_started or self.disconnected or not self.keep_alive or self.flow.write_paused:
            return False
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        lines = [b"%b: %b\r\n" % line for line in (*self.default_headers, *headers)]
        if len(body) <= JOIN_BELOW:
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        else:
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n")))
            self.transport.write(body)
        self.message_event.set()
        return True


class LeanProtocol(HttpToolsProtocol):
    """One connection, without limits."""

    # uvicorn's own types say less, and to tell the checker at each use costs a call.
    app: ASGI3Application  # pyright: ignore[reportIncompatibleVariableOverride]
    scope: dict[str, Any]  # pyright: ignore[reportIncompatibleVariableOverride]
    parser: httptools.HttpRequestParser
    task: asyncio.Task[None]
    """Of the request that is being answered."""

    def cycle_of(self, version: str) -> Cycle:
        """The record of the request whose head is whole."""
        return Cycle(self, keep_alive=version != "1.0" and self.parser.should_keep_alive())

    def on_headers_complete(self) -> None:
        """The head is whole: answer the request, or let it wait for those before it."""
        scope, parser = self.scope, self.parser
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if version != "1.1":
            scope["http_version"] = version
        if parser.should_upgrade() and self._should_upgrade():
            return
        raw, query = _split(self.url)
        path = raw.decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw
        scope["query_string"] = query
        before, cycle = self.cycle, self.cycle_of(version)
        self.cycle = cycle
        if not before or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        task = self.task = self.loop.create_task(cycle.run_asgi(app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def _split(url: bytes) -> tuple[bytes, bytes]:
    """Path and query. Nearly all are a path from the root on, which needs no parser."""
    if url.startswith(b"/") and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path, query
    parsed = httptools.parse_url(url)
    return parsed.path, parsed.query or b""
