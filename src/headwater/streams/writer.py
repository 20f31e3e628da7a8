"""Reads and writes of streams by name: checks names and schemas, then hands writes to the commit queue.

Owns what an item is: an object that always holds its id. Knows the declared streams, the queue and the
storage contract; no wire, no subscriber.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from headwater.clock import Clock, SystemClock
from headwater.errors import Conflict, HeadwaterError, InvalidInput
from headwater.heavyjson import LOOP_VALUES, is_heavy
from headwater.jsonvalue import is_object, text_to_keep
from headwater.model import PLAIN, Change, GroupKey, Item, Origin, Signal, Terms, Write, WriteKind
from headwater.storage.base import Store
from headwater.streams.catalog import Catalog, Catalogued
from headwater.streams.commits import CommitQueue, refused
from headwater.streams.itemtext import AnyPlace, Place, Updated, item_text, updated_text
from headwater.streams.limits import MOST_VALUES, Limits
from headwater.streams.operations import parse_operations
from headwater.streams.snapshot import read_snapshot

MOST_LARGE = 10_000
"""Items that are known to be large; those that were not written for longest are forgotten first."""

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


Made = Callable[[bytes | None], Updated | None]
"""What a write makes of an item with that text, where that is known already."""


class KnownLarge:
    """Items whose last text was too much for the loop. Noted by the loop and by the store's thread."""

    def __init__(self) -> None:
        self._places: dict[AnyPlace, None] = {}

    def __contains__(self, place: AnyPlace) -> bool:
        return place in self._places

    def note(self, place: AnyPlace, body: bytes) -> None:
        """An item has become that text."""
        if len(body) > LOOP_VALUES and is_heavy(body):
            self._places.pop(place, None)
            self._places[place] = None
            if len(self._places) > MOST_LARGE:
                self._places.pop(next(iter(self._places)), None)
        elif self._places:
            self._places.pop(place, None)


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
        self.large = KnownLarge()

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
            write, extra_bytes = self._prepare(kind, stream, group, item, body, terms, origin)
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
        made: Made | None = None,
    ) -> Prepared:
        """A write that is checked and not made: what `set`, `update` and `delete` would commit. `made` may
        know already what it comes to.

        :raises HeadwaterError: it can never be committed: names, terms, sizes, and for a set the schema.
        """
        return Prepared(*self._prepare(kind, stream, group, item, body, terms, origin, made))

    def _prepare(
        self,
        kind: WriteKind,
        stream: str,
        group: str,
        item: str,
        body: bytes,
        terms: Terms,
        origin: Origin,
        made: Made | None = None,
    ) -> tuple[Write, int]:
        """The same for each write that is made at once: a pair, for what nobody keeps needs no name. The
        names of this and of its place were 0.5% of a change that goes to ten subscribers."""
        known, place = self._check(stream, group, item), (stream, group, item)
        where = GroupKey(stream, group)
        if kind == "delete":
            self._limits.check_terms(terms)
            return Write(where, item, kind, if_version=terms.if_version, origin=origin, key=terms.key), 0
        expires = self._expires(known, terms)
        if kind == "set":
            after = None if made is None else made(None)
            if after is None:
                value = self._limits.decode("item", body)
                data = item_text(value, place, known.schema, self._limits)
            else:
                data = after.body
            self.large.note(place, data)
            return Write(
                where,
                item,
                kind,
                data,
                if_version=terms.if_version,
                origin=origin,
                expires=expires,
                key=terms.key,
            ), 0
        self._limits.check_text("list of operations", body)
        parsed = parse_operations(body) if made is None else None
        told: bytes | None = None

        def apply(current: bytes | None) -> bytes:
            nonlocal told
            after = None if made is None else made(current)
            if after is None:
                operations = parse_operations(body) if parsed is None else parsed
                after = updated_text(current, operations, place, known.schema, self._limits)
            self.large.note(place, after.body)
            told = after.told
            return after.body

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
        return write, len(body)

    def given(self, place: Place) -> dict[str, Any]:
        """All that is to be known to make the text of an item, as plain JSON values; see `large.py`.

        :raises HeadwaterError: there is no such stream, or a name is none.
        """
        schema = self._check(*place).rules.schema
        return {"place": list(place), "schema": schema and dict(schema), "limits": self._limits.given()}

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
        ttl = known.lifetime if terms.ttl is None else terms.ttl
        return None if ttl is None else self._clock.now() + ttl


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


def _item_of(change: Change | None) -> Item | None:
    return None if change is None else Item(change.id, change.data, change.version, change.created)
