"""Reads and writes of streams by name: checks names and schemas, then hands writes to the commit queue.

Owns what an item is: an object that always holds its id. Knows the declared streams, the queue and the
storage contract; no wire, no subscriber.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from headwater.clock import Clock, SystemClock
from headwater.errors import Conflict, HeadwaterError, InvalidInput, SchemaMismatch
from headwater.jsonvalue import is_object, text_to_keep
from headwater.model import PLAIN, Change, GroupKey, Item, Origin, Signal, Terms, Write, WriteKind
from headwater.schema import Schema, check_item
from headwater.storage.base import Store
from headwater.streams.catalog import Catalog, Catalogued
from headwater.streams.commits import CommitQueue, refused
from headwater.streams.growth import Told, apply_telling
from headwater.streams.limits import MOST_VALUES, Limits
from headwater.streams.operations import checked_object, parse_operations
from headwater.streams.snapshot import read_snapshot

_OLD_MARK = "__motia"
"""A key that the old framework put into items that it handed out; it comes back in sets and is dropped."""

NO_VERSION = -1
"""What no item has as its version, and no group."""


class Prepared(NamedTuple):
    """A write that was checked. `extra_bytes` is what it holds on to beside its data."""

    write: Write
    extra_bytes: int = 0

    def after(self, current: bytes | None) -> bytes | None:
        """What it would make of an item, or of none: the item's data, or None for a delete. It changes
        nothing.

        :raises HeadwaterError: it does not fit that item.
        """
        write = self.write
        return write.data if write.kind == "set" else None if write.apply is None else write.apply(current)


class Writer:
    """The StreamService of a process, for the streams that the catalog says steps may write."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        queue: CommitQueue,
        *,
        max_item_bytes: int,
        max_id_bytes: int = 1024,
        max_item_values: int = MOST_VALUES,
        clock: Clock | None = None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self.limits = self._limits = Limits(
            max_item_bytes=max_item_bytes, max_id_bytes=max_id_bytes, max_item_values=max_item_values
        )
        self._clock = clock or SystemClock()

    @property
    def pending_bytes(self) -> int:
        """Data that waits for a commit, in bytes."""
        return self._queue.pending_bytes

    def set(
        self,
        stream: str,
        group: str,
        item: str,
        data: bytes,
        *,
        terms: Terms = PLAIN,
        origin: Origin,
    ) -> Future[Item]:
        """See StreamService.set."""
        return self._write("set", stream, group, item, data, terms, origin)

    def update(
        self,
        stream: str,
        group: str,
        item: str,
        operations: bytes,
        *,
        terms: Terms = PLAIN,
        origin: Origin,
    ) -> Future[Item | None]:
        """See StreamService.update."""
        return self._write("update", stream, group, item, operations, terms, origin)

    def delete(
        self, stream: str, group: str, item: str, *, terms: Terms = PLAIN, origin: Origin
    ) -> Future[Item | None]:
        """See StreamService.delete."""
        return self._write("delete", stream, group, item, b"", terms, origin)

    def _write(
        self,
        kind: WriteKind,
        stream: str,
        group: str,
        item: str,
        body: bytes,
        terms: Terms,
        origin: Origin,
    ) -> Future[Any]:
        try:
            write, extra_bytes = self.prepare(kind, stream, group, item, body, terms=terms, origin=origin)
        except HeadwaterError as error:
            return refused(error)
        return self._queue.add(write, extra_bytes=extra_bytes, answer=_item_of)

    def prepare(
        self,
        kind: WriteKind,
        stream: str,
        group: str,
        item: str,
        body: bytes,
        *,
        terms: Terms = PLAIN,
        origin: Origin,
    ) -> Prepared:
        """A write that is checked and not made: what `set`, `update` and `delete` would commit.

        :raises HeadwaterError: it can never be committed: names, terms, sizes, and for a set the schema.
        """
        known = self._check(stream, group, item)
        where = GroupKey(stream, group)
        if kind == "delete":
            self._limits.check_terms(terms)
            return Prepared(
                Write(where, item, kind, if_version=terms.if_version, origin=origin, key=terms.key)
            )
        expires = self._expires(known, terms)
        if kind == "set":
            data = self._encode(known.schema, self._limits.decode("item", body), stream, group, item)
            return Prepared(
                Write(
                    where,
                    item,
                    kind,
                    data,
                    if_version=terms.if_version,
                    origin=origin,
                    expires=expires,
                    key=terms.key,
                )
            )
        self._limits.check_text("list of operations", body)
        parsed = parse_operations(body)
        told: bytes | None = None

        def apply(current: bytes | None) -> bytes:
            nonlocal told
            value: dict[str, Any] = {} if current is None else orjson.loads(current)
            after, delta = apply_telling(value, parsed)
            data = self._encode(known.schema, checked_object(after), stream, group, item)
            told = _text(delta, len(data))
            return data

        write = Write(
            where,
            item,
            kind,
            apply=apply,
            if_version=terms.if_version,
            origin=origin,
            expires=expires,
            key=terms.key,
            if_exists=terms.if_exists,
            delta=lambda: told,
        )
        return Prepared(write, len(body))

    def commit(self, prepared: Prepared, *, if_version: int | None = None) -> Future[Item | None]:
        """Make a write that was prepared; with `if_version`, upon that version of the item alone."""
        write = prepared.write
        if if_version is not None:
            write = write._replace(if_version=if_version)
        return self._queue.add(write, extra_bytes=prepared.extra_bytes, answer=_item_of)

    async def repeated(self, prepared: Prepared) -> Item | None:
        """What became of the first write that had its key in its group; None where there was none.

        :raises StoreUnavailable: that cannot be told now.
        """
        write = prepared.write
        # Keys are looked at first; no item has that version, so nothing is ever written.
        probe = Write(write.group, write.id, "delete", if_version=NO_VERSION, key=write.key)
        try:
            return await self._queue.add(probe, answer=_item_of)
        except Conflict:
            return None

    def send(
        self, stream: str, group: str, item: str | None, event: bytes, *, origin: Origin
    ) -> Future[None]:
        """See StreamService.send."""

        try:
            body = self.event(stream, group, item, event)
        except HeadwaterError as error:
            return refused(error)
        return self._queue.add(Signal(GroupKey(stream, group), item, body))

    def event(self, stream: str, group: str, item: str | None, event: bytes) -> bytes:
        """The JSON text of an event as it would be sent.

        :raises HeadwaterError: it can never be sent.
        """
        self._check(stream, group, *(() if item is None else (item,)))
        self._limits.check_text("event", event)
        return _event_body(event)

    async def get(self, stream: str, group: str, item: str) -> Item | None:
        """See StreamService.get."""
        self._check(stream, group, item)
        return await self._store.get(GroupKey(stream, group), item)

    async def get_group(self, stream: str, group: str) -> Sequence[Item]:
        """See StreamService.get_group."""
        self._check(stream, group)
        return (await read_snapshot(self._store, GroupKey(stream, group))).items

    def _check(self, stream: str, group: str, *items: str) -> Catalogued:
        """The stream, once all names are sound.

        :raises UnknownStream: naming the nearest declared stream.
        :raises InvalidInput: a group or item id that is empty or too long.
        """
        self._limits.check_id("group id", group)
        for item in items:
            self._limits.check_id("item id", item)
        return self._catalog.written(stream)

    def _expires(self, known: Catalogued, terms: Terms) -> float | None:
        """The wall time at which what is written now expires.

        :raises InvalidInput: the terms make no sense.
        """
        self._limits.check_terms(terms)
        ttl = known.rules.lifetime if terms.ttl is None else terms.ttl
        return None if ttl is None else self._clock.now() + ttl

    def _encode(self, schema: Schema | None, value: Any, stream: str, group: str, item: str) -> bytes:
        """The item's text: checked, with its id inside, without what the old framework left."""
        if not is_object(value):
            raise SchemaMismatch(
                f"An item of stream {stream!r} must be an object.", [], stream=stream, id=item
            )
        value.pop(_OLD_MARK, None)
        value["id"] = item
        try:
            body = text_to_keep(value)
        except orjson.JSONEncodeError as fault:
            raise InvalidInput(f"Item {item!r} of stream {stream!r} cannot be kept: {fault}.") from None
        self._limits.check_text("item", body)
        check_item(schema, value, stream=stream, group=group, item=item)
        return body


def _event_body(event: bytes) -> bytes:
    """The event's text, checked to be `{"type": text, "data"?}` and written anew in that shape."""
    try:
        body = orjson.loads(event)
    except orjson.JSONDecodeError as fault:
        raise InvalidInput(f"The event is not JSON: {fault}.") from None
    if not is_object(body) or not isinstance(body.get("type"), str) or not body["type"]:
        raise InvalidInput(
            'An event needs a "type" that is a non-empty text.', hint='{"type": "typing", "data": {}}'
        )
    try:
        return text_to_keep({"type": body["type"], "data": body.get("data")})
    except orjson.JSONEncodeError as fault:
        raise InvalidInput(f"The event cannot be sent: {fault}.") from None


def _text(delta: Told | None, most: int) -> bytes | None:
    """What is told of an update: nothing where it changed a member that is put right when the item is
    written, nor where it is no shorter than the item, of `most` bytes: nobody would be sent it."""
    if not delta or any(path[0] in ("id", _OLD_MARK) for _, path, *_ in delta):
        return None
    try:
        text = text_to_keep(delta)
    except orjson.JSONEncodeError:
        return None  # Operations nest deeper than the item, which may be at the encoder's limit already.
    return text if len(text) < most else None


def _item_of(change: Change | None) -> Item | None:
    return None if change is None else Item(change.id, change.data, change.version, change.created)
