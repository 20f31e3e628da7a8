"""A StreamService that keeps items in memory and a diary of what was asked. Commits can be held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from headwater.errors import UnknownStream
from headwater.model import PLAIN, Item, Origin, Terms


class Entry(NamedTuple):
    method: str
    stream: str
    group: str
    item: str | None
    data: Any
    origin: Origin
    at: float


class DiaryStreams:
    """Every stream exists, unless `unknown` names it. `hold()` makes writes wait until `release()`."""

    def __init__(self) -> None:
        self.diary: list[Entry] = []
        self.unknown: set[str] = set()
        self._items: dict[tuple[str, str], dict[str, Item]] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Event()

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def texts(self, group: str, field: str = "text") -> list[Any]:
        """The values of a field of all writes to a group, in order."""
        return [entry.data[field] for entry in self.diary if entry.group == group and entry.method == "set"]

    def times(self, group: str) -> list[float]:
        return [entry.at for entry in self.diary if entry.group == group]

    async def until(self, condition: Any, seconds: float = 60.0) -> None:
        """Wait until the condition holds; it is looked at after every call."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _note(
        self, method: str, stream: str, group: str, item: str | None, data: Any, origin: Origin
    ) -> None:
        if stream in self.unknown:
            raise UnknownStream(f"There is no stream named {stream!r}.")
        self.diary.append(Entry(method, stream, group, item, data, origin, time.monotonic()))
        self._changed.set()

    def _begin(self, work: Any) -> asyncio.Future[Any]:
        async def run() -> Any:
            await self._open.wait()
            return work()

        return asyncio.ensure_future(run())

    def _put(self, stream: str, group: str, item: str, value: dict[str, Any]) -> Item:
        key = (stream, group)
        version = self._versions[key] = self._versions.get(key, 0) + 1
        held = self._items.setdefault(key, {})
        created = held[item].created if item in held else version
        held[item] = Item(item, orjson.dumps({**value, "id": item}), version, created)
        return held[item]

    def set(
        self,
        stream: str,
        group: str,
        item: str,
        data: bytes,
        *,
        terms: Terms = PLAIN,
        origin: Origin,
    ) -> asyncio.Future[Item]:
        value = orjson.loads(data)
        try:
            self._note("set", stream, group, item, value, origin)
        except UnknownStream as error:
            return _failed(error)
        return self._begin(lambda: self._put(stream, group, item, value))

    def update(
        self,
        stream: str,
        group: str,
        item: str,
        operations: bytes,
        *,
        terms: Terms = PLAIN,
        origin: Origin,
    ) -> asyncio.Future[Item]:
        self._note("update", stream, group, item, orjson.loads(operations), origin)
        return self._begin(lambda: self._put(stream, group, item, {"operations": orjson.loads(operations)}))

    def delete(
        self, stream: str, group: str, item: str, *, terms: Terms = PLAIN, origin: Origin
    ) -> asyncio.Future[Item | None]:
        self._note("delete", stream, group, item, None, origin)
        return self._begin(lambda: self._items.get((stream, group), {}).pop(item, None))

    def send(
        self, stream: str, group: str, item: str | None, event: bytes, *, origin: Origin
    ) -> asyncio.Future[None]:
        self._note("send", stream, group, item, orjson.loads(event), origin)
        return self._begin(lambda: None)

    async def get(self, stream: str, group: str, item: str) -> Item | None:
        self._note("get", stream, group, item, None, Origin())
        return self._items.get((stream, group), {}).get(item)

    async def get_group(self, stream: str, group: str) -> Sequence[Item]:
        self._note("get_group", stream, group, None, None, Origin())
        return list(self._items.get((stream, group), {}).values())


def _failed(error: Exception) -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
