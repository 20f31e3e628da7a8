"""The store's face: the verbs of the contract, handed to the threads that own the connections. Owns opening,
closing and which thread does what; knows no SQL.

One thread writes. One reads items and heads, which is quick; another reads pages, which may take long for a
large group. So neither a commit nor a lookup waits for somebody's snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Literal

from headwater.model import GroupKey, Head, Item, OutboxEntry, Unit, Write
from headwater.storage.base import BEGINNING, Due, GroupInfo, OnChanges, Page, Scan, ScanCursor, UnitOutcome
from headwater.storage.sqlite.file_writer import FileWriter, Opened
from headwater.storage.sqlite.ownership import Ownership, real_path
from headwater.storage.sqlite.threads import StoreThread
from headwater.storage.sqlite.watch import Watch


class SqliteStore:
    """A durable Store on one file; see the contract for each verb. Make it with `SqliteStore.open`."""

    def __init__(
        self, ownership: Ownership, writing: StoreThread, writer: FileWriter, opened: Opened
    ) -> None:
        self._ownership = ownership
        self._writing = writing
        self._writer = writer
        self._opened = opened
        self._looking = StoreThread("headwater-lookups")
        self._paging = StoreThread("headwater-pages")
        self._lookups = writer.reader()
        self._pages = writer.reader()
        self._closed = False
        writer.checkpoints.start(partial(writing.post, writer.restart_log))
        self._watch = Watch(self._look)
        self._watch.start()

    @classmethod
    async def open(
        cls, file: Path, *, synchronous: Literal["full", "normal"] = "full", new_epoch: bool = False
    ) -> SqliteStore:
        """Open the file, or make it and its folder. `new_epoch` begins one in any case: what lies there is a
        copy that came with all that lies beside it.

        :raises StoreUnavailable: it is in use, locked, or was written by a newer version.
        :raises StoreReadOnly: it or its folder cannot be written.
        :raises StoreCorrupt: it is damaged, or is no store.
        :raises StoreFull: there is no space for it.
        """
        file = real_path(file)
        ownership = Ownership(file)
        writing = StoreThread("headwater-writer")
        writer = FileWriter(file, synchronous, Lock())
        try:
            opened = await writing.run(partial(writer.open, new_epoch=new_epoch))
        except BaseException:
            writing.end()
            ownership.release()
            raise
        return cls(ownership, writing, writer, opened)

    def _look(self) -> None:
        self._writer.marker.sync()
        with suppress(OSError):
            if self._writer.is_lost():
                self._writing.post(self._writer.look)

    @property
    def epoch(self) -> str:
        """The id of this line of history, kept in the file."""
        return self._opened.epoch

    @property
    def stamp(self) -> float:
        """The highest stamp in the file when it was opened."""
        return self._opened.stamp

    async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        """See Store.commit."""
        return await self._writing.run(partial(self._writer.commit, units, stamp))

    async def outbox(
        self, *, after: int = 0, limit: int = 1000, limit_bytes: int = 8 << 20
    ) -> list[OutboxEntry]:
        """See Store.outbox."""
        return await self._paging.run(partial(self._pages.outbox, after, limit, limit_bytes))

    async def get(self, group: GroupKey, item_id: str) -> Item | None:
        """See Store.get."""
        return await self._looking.run(partial(self._lookups.get, group, item_id))

    async def read(self, group: GroupKey, *, after: int, limit_bytes: int, only: str | None = None) -> Page:
        """See Store.read."""
        if only is not None:
            return await self._looking.run(partial(self._lookups.read_one, group, only, after))
        return await self._paging.run(partial(self._pages.read, group, after, limit_bytes))

    async def window(self, group: GroupKey, *, before: int | None, limit: int, limit_bytes: int) -> Page:
        """See Store.window."""
        return await self._looking.run(partial(self._lookups.window, group, before, limit, limit_bytes))

    async def heads(self, groups: Sequence[GroupKey]) -> list[Head]:
        """See Store.heads."""
        return await self._looking.run(partial(self._lookups.heads, groups))

    async def groups(self, stream: str, *, after: str = "", limit: int = 1000) -> list[GroupInfo]:
        """See Store.groups."""
        return await self._paging.run(partial(self._pages.groups, stream, after, limit))

    async def scan(self, stream: str, *, after: ScanCursor = BEGINNING, limit_bytes: int) -> Scan:
        """See Store.scan."""
        return await self._paging.run(partial(self._pages.scan, stream, after, limit_bytes))

    async def due(self, *, now: float, limit: int = 1000) -> list[Due]:
        """See Store.due."""
        return await self._looking.run(partial(self._lookups.due, now, limit))

    async def sweep(self, *, now: float, tombstone_age: float, limit: int = 1000) -> int:
        """See Store.sweep."""
        return await self._writing.run(partial(self._writer.sweep, now, tombstone_age, limit))

    def listen(self, on_changes: OnChanges) -> None:
        """See Store.listen. One process owns the file, so no change is made elsewhere."""

    def follow(self, groups: Sequence[GroupKey]) -> None:
        """See Store.follow. There is nothing to do."""

    def unfollow(self, groups: Sequence[GroupKey]) -> None:
        """See Store.unfollow. There is nothing to do."""

    async def close(self) -> None:
        """See Store.close. Closing twice does nothing.

        :raises StoreUnavailable: the clean end could not be written; what was acknowledged is in the file.
        """
        if self._closed:
            return
        self._closed = True
        self._watch.stop()
        try:
            await self._looking.run(self._lookups.close)
            await self._paging.run(self._pages.close)
            self._writer.checkpoints.stop()
            await self._writing.run(self._writer.close)
        finally:
            for thread in (self._looking, self._paging, self._writing):
                thread.end()
            self._ownership.release()
