"""CORS: what a browser is told of which pages may read answers (`origins.py` says which may). Owns its
headers; off where no page of another origin may.

A named origin is echoed and may send credentials, and so are pages of this machine in `dev`, except below
`/headwater`, where the server's own is; "*" allows every origin and never credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headwater.errors import OriginRefused
from headwater.response_rules import TRACE_HEADER
from headwater.server.http.origins import SETTING_HINT, Origins
from headwater.steps.project.declare import ApiResponse
from headwater.steps.project.paths import is_own

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED = f"{TRACE_HEADER}, x-headwater-items, etag, retry-after"
"""Headers of answers that pages of other origins may read beside those that browsers always show."""

MAX_AGE = "600"
"""Seconds for which a browser may keep the answer to a preflight."""

Header = tuple[bytes, bytes]
_VARY: Header = (b"vary", b"Origin")


class Cors:
    """The rules of one server."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self.enabled = not origins.named.empty or origins.dev
        self._any = origins.named.any

    def _allows(self, origin: str, path: str, headers: Mapping[str, str]) -> bool:
        if is_own(path):
            return self._origins.lists(origin)
        return self._origins.shares(origin, headers.get("host", ""))

    def headers(self, path: str, headers: Mapping[str, str]) -> Sequence[Header]:
        """The headers that every answer to such a request carries."""
        origin = headers.get("origin")
        if not self.enabled:
            return ()
        if self._any:
            return () if origin is None else (*_ALLOW_ANY, _EXPOSE)
        if origin is None:
            return (_VARY,)
        if not self._allows(origin, path, headers):
            if self._origins.dev and not self._origins.is_own(origin, headers.get("host", "")):
                self._origins.refused(origin)
            return (_VARY,)
        allow = (b"access-control-allow-origin", origin.encode("latin-1"))
        return (_VARY, allow, _CREDENTIALS, _EXPOSE)

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a request is a browser's question before the real one, and these rules answer it. Where no
        origin is let in, the answer without them refuses it, and the log is told."""
        if method != "OPTIONS" or "origin" not in headers or "access-control-request-method" not in headers:
            return False
        if not self.enabled:
            self._origins.refused(headers["origin"])
        return self.enabled

    def preflight(self, path: str, headers: Mapping[str, str]) -> ApiResponse:
        """The answer to a preflight, less what `headers` adds to it.

        Raises OriginRefused for an origin that is not allowed.
        """
        origin = headers["origin"]
        if not self._allows(origin, path, headers):
            self._origins.refused(origin)
            said = f'pages of "{origin}" may not call this server'
            raise OriginRefused(said, hint=SETTING_HINT, origin=origin)
        answer = [
            ("access-control-allow-methods", METHODS),
            ("access-control-max-age", MAX_AGE),
            ("vary", "Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        requested = headers.get("access-control-request-headers")
        if requested:
            answer.append(("access-control-allow-headers", requested))
        return ApiResponse(204, answer, b"")


_ALLOW_ANY: tuple[Header, ...] = ((b"access-control-allow-origin", b"*"),)
_CREDENTIALS: Header = (b"access-control-allow-credentials", b"true")
_EXPOSE: Header = (b"access-control-expose-headers", EXPOSED.encode())
