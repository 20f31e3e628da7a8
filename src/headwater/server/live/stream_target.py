"""What a request for a stream is about: names in its path or query, a window, a cursor. Pure, no I/O."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwater.errors import InvalidInput, RouteUnknown
from headwater.model import GroupKey
from headwater.peer import Values
from headwater.protocol.clients.wire import Cursor

_VERSION_DIGITS = 16
"""Of the largest version that JSON can tell, 2**53; a longer one is none that this server gave."""


CANCEL = "/cancel"
"""What follows an item's path, or the prefix alone, where the run behind the item is to be cancelled."""


class Target(NamedTuple):
    """What a request is about: a group, or one item of it."""

    group: GroupKey
    item: str | None


class Window(NamedTuple):
    """A part of a group: the newest `limit` items, or of those created below version `before`."""

    limit: int
    before: int | None


class Following(NamedTuple):
    """How an event stream is to begin: where the client stands, and its window, if it has one."""

    cursor: Cursor | None
    """What the client holds; None is nothing."""
    limit: int | None
    """The size of its window; None is no window, but everything."""
    floor: int | None
    """Where the window that it holds begins; None is not told."""
    more: int
    """Older items to extend that window by."""


def read_target(rest: str, query: Values, *, max_id_bytes: int) -> Target:
    """The names in a path, split before they are unquoted so that they may hold slashes, or those in the
    query.

    :raises RouteUnknown: the path has another number of parts.
    :raises InvalidInput: a name is empty, too long or no UTF-8.
    """
    target = _read_target(rest, query)
    for name in (*target.group, target.item or ""):
        if len(name.encode()) > max_id_bytes:
            raise InvalidInput(f"a name is longer than {max_id_bytes} bytes", limit=max_id_bytes).at(
                "socket.max_id_bytes", max_id_bytes
            )
    return target


def names_cancel(rest: str) -> bool:
    """Whether a path below the prefix is one to cancel by: an item may be called `cancel` too."""
    return rest.endswith(CANCEL) and rest.strip("/").count("/") in (0, 3)


def _read_target(rest: str, query: Values) -> Target:
    parts = rest.strip("/").split("/") if rest.strip("/") else []
    if not parts:
        stream, group, item = (one_value(query, name) for name in ("stream", "group", "id"))
        if not stream or not group:
            raise InvalidInput("the query needs stream and group, and id for one item")
        return Target(GroupKey(stream, group), item or None)
    if len(parts) not in (2, 3):
        raise RouteUnknown(
            "a stream is read at /STREAM/GROUP or /STREAM/GROUP/ID", hint="write a slash in a name as %2F"
        )
    names = [_unquote(part) for part in parts]
    return Target(GroupKey(names[0], names[1]), names[2] if len(names) == 3 else None)


def _unquote(part: str) -> str:
    try:
        name = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise InvalidInput("a name in the path is no UTF-8") from None
    if not name:
        raise InvalidInput("a name in the path is empty")
    return name


def one_value(query: Values, name: str) -> str:
    """A parameter's value, its last where it repeats, or nothing."""
    value = query.get(name, "")
    return value if isinstance(value, str) else value[-1]


def read_cursor(text: str) -> Cursor | None:
    """A cursor as `EPOCH.VERSION`; what is none is taken as none, as a browser may send any last id."""
    epoch, dot, version = text.rpartition(".")
    if not dot or not epoch or not version.isdecimal() or len(version) > _VERSION_DIGITS:
        return None
    return Cursor(epoch, int(version))


def read_window(query: Values, most: int) -> Window | None:
    """The window that a query asks for, of at most so many items, or None for everything.

    :raises InvalidInput: `limit` or `before` is no whole number above 0.
    """
    if "limit" not in query and "before" not in query:
        return None
    limit = _count(query, "limit") if "limit" in query else most
    return Window(min(limit, most), _count(query, "before") if "before" in query else None)


def read_following(query: Values, last_event_id: str | None) -> Following:
    """How an event stream is to begin.

    :raises InvalidInput: `limit`, `floor` or `more` is no such number, or `before` is given.
    """
    if "before" in query:
        raise InvalidInput(
            "An event stream has no before: it begins with the newest items.",
            hint="To extend a window, resume it with from, floor and more.",
        )
    cursor = read_cursor(last_event_id or one_value(query, "from"))
    limit = _count(query, "limit") if "limit" in query else None
    floor = _count(query, "floor", least=0) if "floor" in query else None
    return Following(cursor, limit, floor, _count(query, "more") if "more" in query else 0)


def _count(query: Values, name: str, *, least: int = 1) -> int:
    text = one_value(query, name)
    if not text.isascii() or not text.isdecimal() or not least <= int(text[:20]) < 2**63:
        raise InvalidInput(f"{name} must be a whole number of at least {least}, not {text[:40]!r}")
    return int(text)
