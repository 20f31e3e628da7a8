"""What a request brings besides its body: its path below where the application is mounted, and its query."""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.types import Scope

from headwater.errors import RequestInvalid
from headwater.peer import MOST_PARAMETERS, Values, read_parameters

_UNQUOTED = "/:@!$&'()*+,;=~"
"""What a path may hold as it is (RFC 3986, section 3.3)."""


ROOT = "headwater.root"
"""Name in a scope: the path below which browsers see the server, percent-encoded. Paths of requests are
without it already."""


def read_root(scope: Scope) -> str:
    """What stands before paths of ours where browsers see them, percent-encoded; "" for nothing."""
    return scope.get(ROOT) or quote(scope.get("root_path", "").rstrip("/"))


def read_path(scope: Scope) -> str:
    """The path as it came in, percent-encoded, below where the application is mounted.

    - A host that gives no `raw_path` gives the path decoded: it is encoded again, and a slash that came in
      encoded counts as one then.
    - `root_path` is where the application is mounted. By ASGI the path begins with it; hosts that strip it
      are taken as well, as Starlette does.
    """
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"], safe=_UNQUOTED) if raw is None else raw.decode("latin-1")
    root: str = scope.get("root_path", "")
    return _below(root.rstrip("/"), path) if root else path


def _below(root: str, path: str) -> str:
    depth = root.count("/") + (not root.startswith("/"))
    parts = path.split("/", depth + 1)
    if unquote("/".join(parts[: depth + 1])) != (root if root.startswith("/") else f"/{root}"):
        return path
    return "/" + "".join(parts[depth + 1 :])


def read_query(raw: bytes) -> Values:
    """The parameters of a query. Bytes that are not UTF-8 become U+FFFD.

    :raises RequestInvalid: there are more than `MOST_PARAMETERS`.
    """
    if not raw:
        return {}
    try:
        return read_parameters(raw.decode(errors="replace"))
    except ValueError:
        raise RequestInvalid(f"the query has more than {MOST_PARAMETERS} parameters") from None
