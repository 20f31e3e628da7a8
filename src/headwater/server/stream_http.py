"""Streams over plain HTTP: a snapshot as JSON, or a live stream for those who accept server-sent events.

Owns the paths and query of WIRE.md section 8 and their conditional answers. The access rules are those of
subscriptions.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import orjson
from starlette.types import Receive, Scope, Send

from headwater.errors import HeadwaterError, InvalidInput, MethodNotAllowed, RouteUnknown, UnknownItem
from headwater.model import GroupKey
from headwater.protocol.v1 import Cursor
from headwater.server.gate import Admissions, Gate
from headwater.server.incoming import Values, read_headers, read_query
from headwater.server.sse import EventStreams
from headwater.streams.realm import Realms
from headwater.streams.snapshot import Snapshot, read_snapshot


class Target(NamedTuple):
    """What a request is about: a group, or one item of it."""

    group: GroupKey
    item: str | None


class StreamHttp:
    """An ASGI application for everything below its prefix."""

    def __init__(self, prefix: str, realms: Realms, gate: Gate, events: EventStreams) -> None:
        self._prefix = prefix
        self._realms = realms
        self._gate = gate
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        :raises HeadwaterError: before anything is sent.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(
                f"a stream is read by GET, not by {scope['method']}", allow=("GET", "HEAD")
            )
        query = read_query(scope["query_string"])
        headers = read_headers(scope["headers"])
        target = _target(scope["raw_path"].decode("latin-1")[len(self._prefix) :], query)
        await self._admit(target)
        if "text/event-stream" in headers.get("accept", "") and scope["method"] == "GET":
            cursor = _cursor(headers.get("last-event-id") or _one(query, "from"))
            await self._events.serve(target.group, target.item, cursor, receive, send)
            return
        snapshot = await read_snapshot(self._realms.of(target.group.stream).store, target.group, target.item)
        await self._answer(target, snapshot, headers, scope["method"], send)

    async def _admit(self, target: Target) -> None:
        """Ask the project's rule.

        :raises HeadwaterError: it says no, or there is no such stream.
        """
        answer: asyncio.Future[HeadwaterError | None] = asyncio.get_running_loop().create_future()
        admissions = Admissions(self._gate, None, limit=1)
        try:
            admissions.ask(target.group, target.item, answer.set_result)
            error = await answer
        finally:
            admissions.close()
        if error is not None:
            raise error

    async def _answer(
        self, target: Target, snapshot: Snapshot, headers: dict[str, str], method: str, send: Send
    ) -> None:
        if target.item is not None and not snapshot.items:
            raise UnknownItem(f"There is no item {target.item!r} in this group.", id=target.item)
        version = snapshot.version if target.item is None else snapshot.items[0].version
        epoch = self._realms.of(target.group.stream).store.epoch
        tag = f'"{epoch}.{version}"'
        known = [one.strip().removeprefix("W/") for one in headers.get("if-none-match", "").split(",")]
        fresh = [(b"etag", tag.encode()), (b"cache-control", b"no-cache")]
        if tag in known or "*" in known:
            await send({"type": "http.response.start", "status": 304, "headers": fresh})
            await send({"type": "http.response.body", "body": b""})
            return
        body = snapshot.items[0].data if target.item is not None else _group(snapshot, epoch)
        length = str(len(body)).encode()
        fresh += [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": fresh})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


def _group(snapshot: Snapshot, epoch: str) -> bytes:
    joined = b",".join([item.data for item in snapshot.items])
    return b'{"items":[%b],"version":%d,"epoch":%b}' % (joined, snapshot.version, orjson.dumps(epoch))


def _target(rest: str, query: Values) -> Target:
    """The names in a path, split before they are unquoted so that they may hold slashes, or those in the
    query.

    :raises RouteUnknown: the path has another number of parts.
    :raises InvalidInput: a name is empty or no UTF-8.
    """
    parts = rest.strip("/").split("/") if rest.strip("/") else []
    if not parts:
        stream, group, item = (_one(query, name) for name in ("stream", "group", "id"))
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


def _one(query: Values, name: str) -> str:
    value = query.get(name, "")
    return value if isinstance(value, str) else value[-1]


def _cursor(text: str) -> Cursor | None:
    """A cursor as `EPOCH.VERSION`; what is none is taken as none, as a browser may send any last id."""
    epoch, dot, version = text.rpartition(".")
    if not dot or not epoch or not version.isdecimal():
        return None
    return Cursor(epoch, int(version))
