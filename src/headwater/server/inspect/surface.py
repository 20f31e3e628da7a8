"""The admin surface: what an operator may ask of the server, over HTTP.

`GET /headwater/admin` lists the methods. `POST /headwater/admin/METHOD` asks one, with its arguments as a
JSON object; a method that changes nothing may be asked by GET too, its arguments as texts in the query. The
answer comes in lines of JSON: `{"entry": ...}` each, then `{"end": true}`; an error before the first of them
is an HTTP error, one after it a line `{"error": ...}`. A WebSocket at `LIVE` follows what moves.

Owns how it is asked: methods are `operating/`'s, who may come in is `guarded.py`'s.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import orjson
from starlette.types import Receive, Scope, Send

from headwater.errors import (
    BodyInvalid,
    HeadwaterError,
    MethodNotAllowed,
    Overloaded,
    RouteUnknown,
)
from headwater.operating.messages import END, entry_line, error_line
from headwater.operating.table import Methods, answer
from headwater.peer import Peer
from headwater.server.http.bodies import BodyReader
from headwater.server.http.incoming import read_query
from headwater.server.inspect.guarded import PEER

log = logging.getLogger("headwater.admin")

PATH = "/headwater/admin"

LIVE = f"{PATH}/live"
"""Where an operator opens a socket, which follows every stream, the server's own among them."""

MOST_AT_ONCE = 16
"""Questions under way; what an operator asks takes little, so more are a mistake."""

_NO_STORE = (b"cache-control", b"no-store")
_LINES = [(b"content-type", b"application/x-ndjson"), _NO_STORE]
_JSON = [(b"content-type", b"application/json"), _NO_STORE]


class AdminSurface:
    """An ASGI application for everything below `PATH`, behind the door of `guarded.py`. `reads` are the
    methods that change nothing, `body_bytes` bounds a question."""

    def __init__(self, methods: Methods, reads: frozenset[str], body_bytes: int) -> None:
        self._methods = methods
        self._reads = reads
        self._bodies = BodyReader(body_bytes, body_bytes * MOST_AT_ONCE)
        self._asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: before anything is sent.
        """
        peer: Peer = scope[PEER]
        name = scope["headwater.path"][len(PATH) :].strip("/")
        if not name:
            await self._list(scope["method"], send)
            return
        self._check(name, scope["method"])
        if self._asked >= MOST_AT_ONCE:
            raise Overloaded("Too many questions are asked at once.", hint="Try again.")
        self._asked += 1
        try:
            args = await self._read(scope, peer.headers, receive)
            log.info("%s asked %s", peer.address or "somebody", name)
            async with contextlib.aclosing(answer(self._methods, name, args)) as entries:
                await _say(entries, send)
        finally:
            self._asked -= 1

    def _check(self, name: str, verb: str) -> None:
        """:raises HeadwaterError: there is no such method, or it is not asked so."""
        if name not in self._methods:
            raise RouteUnknown(f"There is no method {name[:100]!r}.", hint=f"GET {PATH} lists them.")
        allowed = ("GET", "POST") if name in self._reads else ("POST",)
        if verb not in allowed:
            raise MethodNotAllowed(f"{name} is asked by {' or '.join(allowed)}, not by {verb}", allow=allowed)

    async def _read(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> Mapping[str, Any]:
        """The arguments of a question.

        :raises BodyInvalid: they are no JSON object.
        """
        if scope["method"] == "GET":
            return read_query(scope["query_string"])
        raw = await self._bodies.read(receive, headers)
        try:
            args: Any = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError as fault:
            raise BodyInvalid(f"The arguments are not JSON: {fault}.") from None
        finally:
            self._bodies.let_go(raw)
        if not isinstance(args, dict):
            raise BodyInvalid("The arguments are a JSON object.")
        return cast("dict[str, Any]", args)

    async def _list(self, verb: str, send: Send) -> None:
        if verb != "GET":
            raise MethodNotAllowed(f"the list is read by GET, not by {verb}", allow=("GET",))
        methods = [
            {"name": name, "reads": name in self._reads, "about": inspect.getdoc(method) or ""}
            for name, method in sorted(self._methods.items())
        ]
        await send({"type": "http.response.start", "status": 200, "headers": list(_JSON)})
        await send({"type": "http.response.body", "body": orjson.dumps({"methods": methods})})


async def _say(entries: AsyncGenerator[Any], send: Send) -> None:
    """Send the entries as they come. What goes wrong before the first is raised; later it ends the answer."""
    first = await anext(entries, END)
    await send({"type": "http.response.start", "status": 200, "headers": list(_LINES)})
    last = END
    if first is not END:
        await _line(send, entry_line(first))
        try:
            async for entry in entries:
                await _line(send, entry_line(entry))
        except HeadwaterError as error:
            last = error_line(error)
        except Exception:
            log.exception("A question of the operator could not be answered")
            last = error_line(HeadwaterError("The server failed at this; see its log."))
    await send({"type": "http.response.body", "body": last})


async def _line(send: Send, line: bytes) -> None:
    await send({"type": "http.response.body", "body": line, "more_body": True})
