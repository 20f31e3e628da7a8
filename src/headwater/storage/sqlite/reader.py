"""Reads the file beside the writer. Owns one read connection and what the verbs of reading ask of it.

Every method runs on one reader's thread. A snapshot of the file and the state of a group are taken together
under the fence, so a page and its head are of one moment; after that the writer is not in the way, nor is it
held up. Knows nothing of writes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import apsw

from headwater.model import GroupKey, Head, Item, OutboxEntry, Tombstone
from headwater.storage.base import ENTRY_BYTES, Due, GroupInfo, Page, Scan, ScanCursor
from headwater.storage.decide import is_text
from headwater.storage.newest import newest_of
from headwater.storage.sqlite.beside import read_entries
from headwater.storage.sqlite.database import Database, connect
from headwater.storage.sqlite.errors import translate
from headwater.storage.sqlite.groups import GroupState, KnownGroups, load
from headwater.storage.sqlite.plans import Plan, Plans, delete_of, make_plan

WHOLE_ITEMS = 1_000
"""A group of at most this many items is read at once, when its data fits the page."""

_ITEM = "SELECT i.id, i.data, i.version, i.created FROM items i"
_GET = f"{_ITEM} JOIN groups g USING (gid) WHERE g.stream = ? AND g.name = ? AND i.id = ?"
_ONE = f"{_ITEM} WHERE i.gid = ? AND i.id = ?"
_WHOLE = f"{_ITEM} WHERE i.gid = ?"
_WINDOW = f"{_ITEM} WHERE i.gid = ? AND i.created < ? ORDER BY i.created DESC LIMIT ?"
_DUE = (
    "SELECT g.stream, g.name, i.id, i.version FROM items i JOIN groups g USING (gid) "
    "WHERE i.expires <= ? ORDER BY i.expires LIMIT ?"
)
_WHOLE_BYTES = "SELECT ifnull(sum(length(data)), 0) FROM items WHERE gid = ?"
_BY_KEY = "SELECT id, data FROM items WHERE gid = ? AND created = ? AND version = ?"
_GONE = (
    "SELECT d.id FROM deletes d WHERE d.seq = ? "
    "AND NOT EXISTS (SELECT 1 FROM items i WHERE i.gid = d.gid AND i.id = d.id)"
)
_SCAN = (
    "SELECT g.name, i.id, i.data, i.version, i.created FROM groups g CROSS JOIN items i USING (gid) "
    "WHERE g.stream = ? AND"
)
_REST_OF_GROUP = f"{_SCAN} g.name = ? AND i.created > ? ORDER BY i.created"
_LATER_GROUPS = f"{_SCAN} g.name > ? ORDER BY g.name, i.created"
_GROUPS = "SELECT name, items, version FROM groups WHERE stream = ? AND name > ? ORDER BY name"


class _Moment(NamedTuple):
    """The file as one transaction sees it, and of each group that was asked for its state and its base."""

    db: Database
    states: list[GroupState | None]
    bases: list[int]


class _Snapshot(NamedTuple):
    """One moment: the file as a transaction sees it, a group's state (None: unknown), its stream's base."""

    db: Database
    state: GroupState | None
    base: int

    def head(self) -> Head:
        """Where the group stands; one that is not known stands at the base."""
        return Head(self.state.version, self.state.floor) if self.state else Head(self.base, self.base)


class Reader:
    """Answers reads from its own connection, opened at the first of them."""

    def __init__(self, file: Path, known: KnownGroups, fence: Lock) -> None:
        self._file = file
        self._known = known
        self._fence = fence
        self._db: Database | None = None
        self._plans = Plans()

    def get(self, key: GroupKey, item_id: str) -> Item | None:
        """See Store.get."""
        if not (is_text(key.stream) and is_text(key.group) and is_text(item_id)):
            return None
        with self._translated() as db:
            row: Any = db.execute(_GET, (key.stream, key.group, item_id)).get
            return None if row is None else Item(*row)

    def read(self, key: GroupKey, after: int, limit_bytes: int) -> Page:
        """See Store.read."""
        with self._snapshot(key) as snapshot:
            head, state = snapshot.head(), snapshot.state
            if state is None or after >= state.version:
                return Page([], [], head.version, True, head)
            if after == 0 and state.items <= WHOLE_ITEMS:
                whole = _whole(snapshot.db, state, limit_bytes)
                if whole is not None:
                    return Page(whole, [], head.version, True, head)
            return self._page(snapshot.db, state, after, limit_bytes)

    def read_one(self, key: GroupKey, item_id: str, after: int) -> Page:
        """See Store.read, with `only`."""
        with self._snapshot(key) as snapshot:
            head, state = snapshot.head(), snapshot.state
            items: list[Item] = []
            gone: list[Tombstone] = []
            if state is not None and is_text(item_id):
                row: Any = snapshot.db.execute(_ONE, (state.gid, item_id)).get
                if row is not None:
                    items = [Item(*row)] if row[2] > after else []
                elif after and (version := delete_of(snapshot.db, state, item_id, after)):
                    gone = [Tombstone(item_id, version)]
            return Page(items, gone, head.version, True, head)

    def window(self, key: GroupKey, before: int | None, limit: int, limit_bytes: int) -> Page:
        """See Store.window. Items are clustered by creation, so this is the end of a range."""
        with self._snapshot(key) as snapshot:
            head, state = snapshot.head(), snapshot.state
            if state is None:
                return Page([], [], head.version, True, head)
            below = state.version + 1 if before is None else before
            rows = snapshot.db.execute(_WINDOW, (state.gid, below, limit + 1))
            newest, complete = newest_of((Item(*row) for row in rows), limit, limit_bytes)
            rows.close()
            return Page(newest, [], head.version, complete, head)

    def due(self, now: float, limit: int) -> list[Due]:
        """See Store.due."""
        with self._translated() as db:
            rows = db.execute(_DUE, (now, limit)).fetchall()
            return [Due(GroupKey(stream, name), item_id, version) for stream, name, item_id, version in rows]

    def heads(self, keys: Sequence[GroupKey]) -> list[Head]:
        """See Store.heads."""
        with self._moment(keys) as (_, states, bases):
            return [
                Head(state.version, state.floor) if state else Head(base, base)
                for state, base in zip(states, bases, strict=True)
            ]

    def groups(self, stream: str, after: str, limit: int) -> list[GroupInfo]:
        """See Store.groups."""
        found: list[GroupInfo] = []
        if not (is_text(stream) and is_text(after)):
            return found
        with self._translated() as db:
            for name, items, version in db.execute(_GROUPS, (stream, after)):
                state = self._known.get(GroupKey(stream, name))
                info = (
                    GroupInfo(name, state.items, state.version) if state else GroupInfo(name, items, version)
                )
                if info.items:
                    found.append(info)
                if len(found) >= limit:
                    break
        return found

    def scan(self, stream: str, after: ScanCursor, limit_bytes: int) -> Scan:
        """See Store.scan."""
        found: list[tuple[str, Item]] = []
        size = 0
        if not (is_text(stream) and is_text(after.group)):
            return Scan(found, None)
        with self._translated() as db:
            for sql, where in ((_REST_OF_GROUP, (stream, *after)), (_LATER_GROUPS, (stream, after.group))):
                rows = db.execute(sql, where)
                for name, *row in rows:
                    if size > limit_bytes:
                        rows.close()
                        last, item = found[-1]
                        return Scan(found, ScanCursor(last, item.created))
                    found.append((name, Item(*row)))
                    size += ENTRY_BYTES + len(found[-1][1].data)
        return Scan(found, None)

    def outbox(self, after: int, limit: int, limit_bytes: int) -> list[OutboxEntry]:
        """See Store.outbox."""
        with self._translated() as db:
            return read_entries(db, after, limit, limit_bytes)

    def close(self) -> None:
        """Let go of the connection."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _page(self, db: Database, state: GroupState, after: int, limit_bytes: int) -> Page:
        """Cut a page from plans, the next one following where one holds nothing more that counts."""
        head = Head(state.version, state.floor)
        through = after
        while True:
            plan = self._plans.find(state.gid, through) or make_plan(db, state, through)
            cut = _cut(db, state.gid, plan, through, limit_bytes, snapshot=after == 0)
            through = cut.through
            if through < plan.end:
                self._plans.keep(state.gid, plan)
            else:
                self._plans.drop(state.gid, plan)
            if cut.items or cut.tombstones or through >= state.version:
                return Page(cut.items, cut.tombstones, through, through >= state.version, head)

    @contextmanager
    def _snapshot(self, key: GroupKey) -> Generator[_Snapshot]:
        with self._moment([key]) as (db, (state,), (base,)):
            yield _Snapshot(db, state, base)

    @contextmanager
    def _moment(self, keys: Sequence[GroupKey]) -> Generator[_Moment]:
        """See _Moment; the transaction ends with the block."""
        with self._translated() as db:
            with self._fence:
                db.execute("BEGIN")
                db.execute("SELECT 1 FROM meta WHERE name = 'epoch'").fetchall()  # Fixes the moment.
                known = [self._known.get(key) for key in keys]
                bases = [self._known.base_of(key.stream) for key in keys]
            try:
                states = [state or load(db, key) for key, state in zip(keys, known, strict=True)]
                yield _Moment(db, states, bases)
            finally:
                db.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Generator[Database]:
        """The connection; one that failed is dropped and opened anew for the next read."""
        try:
            if self._db is None:
                self._db = connect(self._file)
                self._db.execute("PRAGMA query_only=1")
            yield self._db
        except (apsw.Error, OSError) as error:
            self.close()
            raise translate(error, self._file) from error


class _Cut(NamedTuple):
    items: list[Item]
    tombstones: list[Tombstone]
    through: int


def _whole(db: Database, state: GroupState, limit_bytes: int) -> list[Item] | None:
    """All items of a group in version order, None when they do not fit one page."""
    size: int = db.execute(_WHOLE_BYTES, (state.gid,)).get
    if size + ENTRY_BYTES * state.items > limit_bytes:
        return None
    return sorted((Item(*row) for row in db.execute(_WHOLE, (state.gid,))), key=lambda item: item.version)


def _cut(db: Database, gid: int, plan: Plan, after: int, limit_bytes: int, *, snapshot: bool) -> _Cut:
    """Read the entries of a plan above a version until a page is full, leaving out what has changed since."""
    items: list[Item] = []
    gone: list[Tombstone] = []
    size, through = 0, after
    for index in range(plan.index_after(after), len(plan.versions)):
        if size > limit_bytes:
            return _Cut(items, gone, through)
        through, key = plan.versions[index], plan.keys[index]
        if key > 0:
            row: Any = db.execute(_BY_KEY, (gid, key, through)).get
            if row is not None:
                items.append(Item(row[0], row[1], through, key))
                size += ENTRY_BYTES + len(row[1])
        elif not snapshot:
            name: str | None = db.execute(_GONE, (-key,)).get
            if name is not None:
                gone.append(Tombstone(name, through))
                size += ENTRY_BYTES
    return _Cut(items, gone, plan.end)
