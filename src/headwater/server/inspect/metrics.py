"""`GET /headwater/metrics`, for Prometheus, behind the rule of the admin surface; and two pages that say to
anybody whether the server is well, and nothing else of it.

- `GET /headwater/health`: 200 as long as the process answers. Whoever restarts what hangs asks here.
- `GET /headwater/ready`: 200 once it can serve, 503 while it cannot: it is ending, or its store takes no
  writes. Whoever sends it requests asks here.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from headwater.errors import MethodNotAllowed
from headwater.server.http.problem import INERT

METRICS, HEALTH, READY = "/headwater/metrics", "/headwater/health", "/headwater/ready"

_HEADERS = [(b"cache-control", b"no-store"), (b"content-security-policy", INERT.encode())]


class MetricsPage:
    """An ASGI application for `METRICS`, behind the door of `guarded.py`."""

    def __init__(self, read: Callable[[], bytes], content_type: str) -> None:
        self._read = read
        self._content_type = content_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: before anything is sent.
        """
        _check_read(scope)
        await _say(send, 200, self._content_type, self._read())


class WellBeing:
    """An ASGI application for `HEALTH` and `READY`; `ready` answers why it is not, or None."""

    def __init__(self, ready: Callable[[], str | None]) -> None:
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: before anything is sent.
        """
        _check_read(scope)
        why = self._ready() if scope["headwater.path"] == READY else None
        status, text = (200, "ok\n") if why is None else (503, f"{why}\n")
        await _say(send, status, "text/plain; charset=utf-8", text.encode())


def _check_read(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"this is read by GET, not by {scope['method']}", allow=("GET", "HEAD"))


async def _say(send: Send, status: int, content_type: str, body: bytes) -> None:
    headers = [(b"content-type", content_type.encode()), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
