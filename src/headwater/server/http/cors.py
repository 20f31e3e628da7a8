"""CORS: which browser pages of other origins may call the API. Owns its headers; off without allowed origins.

A named origin is echoed and may send credentials; "*" allows every origin and never credentials.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headwater.errors import OriginRefused
from headwater.response_rules import TRACE_HEADER
from headwater.server.http.origins import named_origins
from headwater.steps.project.declare import ApiResponse

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED = f"{TRACE_HEADER}, x-headwater-items"
MAX_AGE = "600"
"""Seconds for which a browser may keep the answer to a preflight."""

Header = tuple[bytes, bytes]
_VARY: Header = (b"vary", b"Origin")


class Cors:
    """The rules of one server."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = named_origins(origins)
        self.enabled = bool(self._origins)
        self._any = "*" in self._origins

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may call the server."""
        return self._any or origin.lower() in self._origins

    def headers(self, origin: str | None) -> Sequence[Header]:
        """The headers that every answer to a request of this origin carries."""
        if not self.enabled:
            return ()
        if self._any:
            return () if origin is None else (*_ALLOW_ANY, _EXPOSE)
        if origin is None or not self.allows(origin):
            return (_VARY,)
        allow = (b"access-control-allow-origin", origin.encode("latin-1"))
        return (_VARY, allow, _CREDENTIALS, _EXPOSE)

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a request is a browser's question before the real one, and these rules answer it."""
        return (
            self.enabled
            and method == "OPTIONS"
            and "origin" in headers
            and "access-control-request-method" in headers
        )

    def preflight(self, headers: Mapping[str, str]) -> ApiResponse:
        """The answer to a preflight, less what `headers` adds to it.

        Raises OriginRefused for an origin that is not allowed.
        """
        origin = headers["origin"]
        if not self.allows(origin):
            raise OriginRefused(
                f'pages of "{origin}" may not call this server',
                hint="add the origin to cors_origins in [server] of headwater.toml",
                origin=origin,
            )
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
