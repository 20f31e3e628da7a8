"""State: values that steps keep under a group and a key. A value is an item of a hidden stream, so it has a
version, terms and an expiry as every item has.

Owns what such an item looks like, `{"id": key, "value": any JSON}`, and what `clear` and `list` promise.
Knows the queue and the storage contract; no step, no subscriber.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from headwater.aside.runner import Aside
from headwater.clock import Clock, SystemClock
from headwater.errors import HeadwaterError, InvalidInput
from headwater.heavyjson import LOOP_VALUES, is_heavy
from headwater.jsonvalue import text_to_keep
from headwater.model import PLAIN, Change, GroupKey, Item, Origin, Terms, Unit, Write
from headwater.storage.base import Store
from headwater.streams.catalog import StreamRules
from headwater.streams.commits import CommitQueue, refused
from headwater.streams.limits import Limits
from headwater.streams.operations import apply_to_value, parse_operations

STATE = "headwater.state"
"""The hidden stream of all values: its groups are those of state, its items' ids their keys."""
STATE_STREAM = StreamRules(name=STATE, hidden=True, history="none")

PAGE_BYTES = 4 * 1024 * 1024
"""One read of a group's values."""
PAGE_ITEMS = 10_000
"""Most values of one read: more would keep the loop for too long at once."""
MAX_NAMES = 1000
"""Names of groups in one answer."""


class StateValue(NamedTuple):
    """One value: its key, its JSON text, and the version of the write that made it what it is."""

    key: str
    text: bytes
    version: int


class StateService:
    """Reads and writes of state, as steps make them.

    `set`, `update` and `delete` have begun when they return, and nothing raises at the call, as in
    `StreamService`; their futures carry InvalidInput, TooLarge, Conflict, TooMany or StoreUnavailable. No
    cost grows with what other groups hold. `piece` is how many values `clear` deletes at once.
    """

    def __init__(
        self,
        store: Store,
        queue: CommitQueue,
        limits: Limits,
        *,
        piece: int = 1000,
        clock: Clock | None = None,
        aside: Aside | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._limits = limits
        self._piece = piece
        self._aside = aside
        self._clock = clock or SystemClock()

    def set(
        self, group: str, key: str, value: bytes, *, terms: Terms = PLAIN, origin: Origin
    ) -> Future[StateValue]:
        """Keep a value, given as JSON text; answers it as kept."""

        try:
            body = _text_to_keep(key, self._limits.decode("value", value), self._limits)
            return self._set(group, key, body, terms, origin)
        except HeadwaterError as error:
            return refused(error)

    def is_large(self, value: bytes | bytearray | memoryview) -> bool:
        """Whether a value is too much for the loop: `set_large` is for it."""
        return self._aside is not None and len(value) > LOOP_VALUES and is_heavy(bytes(value))

    async def set_large(
        self, group: str, key: str, value: bytes, *, terms: Terms, origin: Origin
    ) -> StateValue:
        """As `set`, of a value that is read in the process beside: it takes its place in the order of commits
        afterwards.

        :raises HeadwaterError: what the future of `set` carries; or (Overloaded) it could not be read now.
        """
        assert self._aside is not None
        self._limits.check_text("value", value)
        body = await self._aside.run(kept_text, value, {"key": key, "limits": self._limits.given()})
        return await self._set(group, key, body, terms, origin)

    def _set(self, group: str, key: str, body: bytes, terms: Terms, origin: Origin) -> Future[StateValue]:
        where, expires = self._place(group, key), self._expires(terms)
        write = Write(
            where, key, "set", body, None, terms.if_version, origin, expires, terms.key, history=False
        )
        return self._queue.add(write, answer=_answer)

    def update(
        self, group: str, key: str, operations: bytes, *, terms: Terms = PLAIN, origin: Origin
    ) -> Future[StateValue | None]:
        """Apply a JSON list of operations to a value, atomically; answers the value after them.

        A value that is not there begins as null, and becomes what the first operation makes of that; or with
        `if_exists` stays away, and the answer is None.
        """

        try:
            where = self._place(group, key)
            expires = self._expires(terms)
            self._limits.check_text("list of operations", operations)
            parsed = parse_operations(operations)
        except HeadwaterError as error:
            return refused(error)

        def apply(current: bytes | None) -> bytes:
            value: Any = None if current is None else orjson.loads(current)["value"]
            return _text_to_keep(key, apply_to_value(value, parsed), self._limits)

        write = Write(
            where, key, "update", b"", apply, terms.if_version, origin, expires, terms.key, history=False,
            if_exists=terms.if_exists,
        )  # fmt: skip
        return self._queue.add(write, extra_bytes=len(operations), answer=_answer)

    def delete(
        self, group: str, key: str, *, terms: Terms = PLAIN, origin: Origin
    ) -> Future[StateValue | None]:
        """Delete a value; answers it as it was, or None when there was none."""

        try:
            where = self._place(group, key)
            self._limits.check_terms(terms)
        except HeadwaterError as error:
            return refused(error)
        write = Write(
            where, key, "delete", b"", None, terms.if_version, origin, None, terms.key, history=False
        )
        return self._queue.add(write, answer=_answer)

    async def get(self, group: str, key: str) -> StateValue | None:
        """One value, or None.

        :raises InvalidInput: the group or the key is no name.
        :raises StoreUnavailable: the store cannot be read.
        """
        item = await self._store.get(self._place(group, key), key)
        return None if item is None else _value_of(item)

    async def get_group(self, group: str) -> list[StateValue]:
        """All values of a group, in the order in which they were first set.

        A group of up to PAGE_BYTES and PAGE_ITEMS is read as of one moment. A larger one is read in several
        pieces, each as of its own moment: a value that nobody touches meanwhile is there, once.

        :raises InvalidInput: the group is no name.
        :raises StoreUnavailable: the store cannot be read.
        """
        pages = [page async for page in self._pages(self._group(group))]
        return [_value_of(item) for page in reversed(pages) for item in page]

    async def groups(self, *, after: str = "", limit: int = MAX_NAMES) -> list[str]:
        """The names of the groups that hold values, in the order of their UTF-8 bytes, at most `limit`, those
        after the name `after`.

        :raises InvalidInput: the limit is none.
        :raises StoreUnavailable: the store cannot be read.
        """
        if not 1 <= limit <= MAX_NAMES:
            raise InvalidInput(
                f"limit is a number from 1 to {MAX_NAMES}, not {limit}.",
                hint="Ask again with after= the last name.",
            )
        return [info.group for info in await self._store.groups(STATE, after=after, limit=limit)]

    async def clear(self, group: str, *, origin: Origin) -> None:
        """Delete all values of a group.

        Up to `piece` of them go at once or not at all; of a larger group, one piece after the other, the
        newest first. What is set while it runs may stay.

        :raises InvalidInput: the group is no name.
        :raises StoreUnavailable: the store cannot be read or written; of a large group some may be gone.
        """
        where = self._group(group)
        doomed: list[str] = []
        async for page in self._pages(where):
            doomed += [item.id for item in page]
            while len(doomed) >= self._piece:
                await self._delete(where, doomed[: self._piece], origin)
                del doomed[: self._piece]
        if doomed:
            await self._delete(where, doomed, origin)

    async def _delete(self, where: GroupKey, keys: Sequence[str], origin: Origin) -> None:
        writes = [Write(where, key, "delete", origin=origin, history=False) for key in keys]
        await self._queue.add_unit(Unit(writes))

    async def _pages(self, where: GroupKey) -> AsyncIterator[list[Item]]:
        """The items of a group, page by page: the newest page first, each in the order of creation.

        Not in the order of writes, as subscribers read: without a history, each delete in a group makes such
        a reader begin anew, so one might never come to an end.
        """
        before: int | None = None
        while True:
            page = await self._store.window(where, before=before, limit=PAGE_ITEMS, limit_bytes=PAGE_BYTES)
            if page.items:
                yield page.items
                before = page.items[0].created
            if page.complete or not page.items:
                return

    def _group(self, group: str) -> GroupKey:
        self._limits.check_id("group", group)
        return GroupKey(STATE, group)

    def _place(self, group: str, key: str) -> GroupKey:
        self._limits.check_id("key", key)
        return self._group(group)

    def _expires(self, terms: Terms) -> float | None:
        self._limits.check_terms(terms)
        return None if terms.ttl is None else self._clock.now() + terms.ttl


def kept_text(value: bytes, given: Mapping[str, Any]) -> bytes:
    """The text to keep of a value, given as JSON text. Run in the process beside."""
    limits = Limits(**given["limits"])
    return _text_to_keep(given["key"], limits.decode("value", value), limits)


def _text_to_keep(key: str, value: Any, limits: Limits) -> bytes:
    try:
        body = text_to_keep({"id": key, "value": value})
    except orjson.JSONEncodeError as fault:
        raise InvalidInput(f"The value of {key!r} cannot be kept: {fault}.") from None
    limits.check_size("value", len(body) - len(_before(key)) - 1)
    limits.check_values("value", body)
    return body


def _before(key: str) -> bytes:
    """What stands in an item's text before its value, which the one brace after it ends."""
    return b'{"id":' + orjson.dumps(key) + b',"value":'


def _value_of(item: Item | Change) -> StateValue:
    return StateValue(item.id, item.data[len(_before(item.id)) : -1], item.version)


def _answer(change: Change | None) -> StateValue | None:
    return None if change is None else _value_of(change)
