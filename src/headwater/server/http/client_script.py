"""The browser client as one file, for pages without a build step: `import { connect } from
'/headwater/client.js'`.

Owns its address and its caching. What is in it is built from `clients/core` and lies in the package.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

from headwater.errors import MethodNotAllowed, RouteUnknown
from headwater.peer import read_headers
from headwater.server.http.conditional import Tagged, send_tagged
from headwater.server.http.problem import INERT

PATH = "/headwater/client.js"
_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"content-security-policy", INERT.encode())]
BUILT = Path(__file__).parents[2] / "browser" / "dist" / "client.js"


class Script(NamedTuple):
    """The built file and its entity tag."""

    body: bytes
    tag: str


@cache
def read_script(built: Path) -> Script:
    """The file as it was at first sight.

    :raises RouteUnknown: it has not been built.
    """
    try:
        body = built.read_bytes()
    except OSError:
        raise RouteUnknown(
            "the browser client has not been built",
            hint="in a checkout, make setup builds it; an installed package carries it",
            path=PATH,
        ) from None
    return Script(body, f'"{hashlib.sha256(body).hexdigest()[:16]}"')


class ClientScript:
    """An ASGI application that serves the one file."""

    def __init__(self, built: Path = BUILT) -> None:
        self._built = built

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: before anything is sent.
        """
        path = scope["headwater.path"]
        if path != PATH:
            raise RouteUnknown(f"nothing is served at {path[:500]}", hint=f"there is {PATH}")
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(
                f"the client is read by GET, not by {scope['method']}", allow=("GET", "HEAD")
            )
        script = await asyncio.to_thread(read_script, self._built)
        # Browsers ask each time: a server that was updated must never be spoken to by the client before it.
        answer = Tagged(script.tag, "text/javascript; charset=utf-8", script.body)
        await send_tagged(send, scope["method"], read_headers(scope["headers"]), answer, _HEADERS)
