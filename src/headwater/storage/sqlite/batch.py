"""The writes of one transaction. Owns what each write does, and what is to be published then.

The items that the writes concern are looked up at once, the writes are applied to them in memory, one after
the other, and what came of it goes to the file at the end. Whatever rejects a write alone (`decide.py`)
happens before the file is touched; so what SQLite raises ends the whole batch. Knows no threads, checkpoints
or readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.errors import HeadwaterError
from headwater.model import Change, ChangeKind, GroupKey, Write
from headwater.storage.base import Outcome, Repeated
from headwater.storage.decide import check_names, data_after, needs_current
from headwater.storage.sqlite.bulk import Bulk, Row, read_numbers, write_rows
from headwater.storage.sqlite.database import Database
from headwater.storage.sqlite.groups import CREATE, DELETE, UPDATE, GroupState, KnownGroups, load

_CURRENT = "SELECT created, version, data FROM items WHERE gid = ? AND id = ?"
_CREATED = Bulk(
    "WITH wanted (gid, id) AS (",
    2,
    ") SELECT group_concat(ifnull(i.created, 0)) "
    "FROM wanted w LEFT JOIN items i ON i.gid = w.gid AND i.id = w.id",
)
_DELETE = "DELETE FROM items WHERE gid = ? AND created = ?"
_PUT = "INSERT INTO items (gid, created, version, id, data, expires)"
_KEEP_TIME = Bulk(
    _PUT, 6, "ON CONFLICT (gid, created) DO UPDATE SET version = excluded.version, data = excluded.data"
)
_SET_TIME = Bulk(_PUT, 6, f"{_KEEP_TIME.after}, expires = excluded.expires")
_NEW_GROUP = (
    "INSERT INTO groups (stream, name, version, floor, items, last, last_delete) VALUES (?, ?, ?, ?, 0, 0, 0)"
)
_LOG = Bulk("INSERT INTO log (seq, gid, version, created, prev, kind, stamp)", 7)
_DELETES = Bulk("INSERT INTO deletes (seq, gid, version, id, prev, stamp)", 6)
_KEY = "SELECT id, kind, version, created, data FROM keys WHERE gid = ? AND key = ?"
_NEW_KEY = (
    "INSERT INTO keys (gid, key, stamp, id, kind, version, created, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class _Item:
    """One id as the batch finds and leaves it.

    `stored` is the creating version of its row in the file (0: it has none), `created` that of the item now
    (0: there is none). `version` and `data` are known once it was read whole or written. `expires` counts
    once `timed` is set; until then the row keeps its own.
    """

    __slots__ = ("created", "data", "expires", "stored", "timed", "version", "written")

    def __init__(self, stored: int, version: int = 0, data: bytes | None = None) -> None:
        self.stored = self.created = stored
        self.version = version
        self.data = data
        self.expires: float | None = None
        self.timed = False
        self.written = False


class Batch:
    """Applies writes inside an open transaction. Discard it with the transaction when anything raises."""

    def __init__(self, db: Database, known: KnownGroups, seq: int, stamp: float) -> None:
        """`seq` is the log's last sequence, `stamp` (ms) the time of the writes."""
        self._db = db
        self._known = known
        self._stamp = stamp
        self._found: dict[GroupKey, GroupState | None] = {}
        self._items: dict[tuple[GroupKey, str], _Item] = {}
        self._log: list[Row] = []
        self._deletes: list[Row] = []
        self.seq = seq
        self.changed: dict[GroupKey, GroupState] = {}

    def run(self, writes: Sequence[Write]) -> list[Outcome]:
        """Do the writes in order and answer what became of each; `finish` then brings them to the file.

        :raises apsw.Error: the file failed; the transaction is lost.
        """
        rejections = [_fault(write) for write in writes]
        sound = [write for write, fault in zip(writes, rejections, strict=True) if fault is None]
        self._look_up(sound)
        return [fault or self._apply(write) for write, fault in zip(writes, rejections, strict=True)]

    def finish(self) -> None:
        """Bring everything to the file.

        :raises apsw.Error: the file failed; the transaction is lost.
        """
        gone: list[Row] = []
        timed: list[Row] = []
        timeless: list[Row] = []
        for (key, item_id), item in self._items.items():
            if not item.written:
                continue
            gid = self.changed[key].gid
            if item.stored and item.stored != item.created:
                gone.append((gid, item.stored))
            if item.created:
                row = (gid, item.created, item.version, item_id, item.data, item.expires)
                (timed if item.timed else timeless).append(row)
        if gone:
            self._db.executemany(_DELETE, gone)
        write_rows(self._db, _SET_TIME, timed)
        write_rows(self._db, _KEEP_TIME, timeless)
        write_rows(self._db, _LOG, self._log)
        write_rows(self._db, _DELETES, self._deletes)

    def _look_up(self, writes: Sequence[Write]) -> None:
        """Find the groups and items that the writes concern: items whole where a write has to know more than
        whether they exist."""
        wanted: dict[tuple[GroupKey, str], int] = {}
        for write in writes:
            state = self._state(write.group)
            where = (write.group, write.id)
            if state is None:
                self._items[where] = _Item(0)
            elif not needs_current(write):
                wanted[where] = state.gid
            elif where not in self._items:
                row: Any = self._db.execute(_CURRENT, (state.gid, write.id)).get
                self._items[where] = _Item(0) if row is None else _Item(*row)
        missing = [(where, gid) for where, gid in wanted.items() if where not in self._items]
        rows = [(gid, item_id) for (_, item_id), gid in missing]
        for (where, _), created in zip(missing, read_numbers(self._db, _CREATED, rows), strict=True):
            self._items[where] = _Item(created)

    def _state(self, key: GroupKey) -> GroupState | None:
        """Where the group stood when the batch began."""
        if key not in self._found:
            self._found[key] = self._known.get(key) or load(self._db, key)
        return self._found[key]

    def _apply(self, write: Write) -> Outcome:
        if write.key is not None and (first := self._first(write)) is not None:
            return Repeated(first)
        item = self._items[write.group, write.id]
        try:
            after = data_after(write, item.version, item.data)
        except HeadwaterError as rejection:
            return rejection
        if after is None and not item.created:
            return None
        state = self._change(write.group)
        change = (
            self._put(write, state, item, after) if after is not None else self._delete(write, state, item)
        )
        if write.key is not None:
            self._keep_key(write.key, state.gid, change)
        return change

    def _change(self, key: GroupKey) -> GroupState:
        """The group's state as this batch changes it: a copy, or a new group."""
        if key in self.changed:
            return self.changed[key]
        state = self._found[key]
        if state is None:
            base = self._known.base
            self._db.execute(_NEW_GROUP, (key.stream, key.group, base, base))
            state = GroupState(self._db.last_insert_rowid(), base, base, 0, 0, 0)
        copy = self.changed[key] = state.copy()
        return copy

    def _put(self, write: Write, state: GroupState, item: _Item, data: bytes) -> Change:
        created = item.created == 0
        if created:
            item.created = state.version + 1
            state.items += 1
        if created or write.kind == "set":
            item.timed, item.expires = True, write.expires
        self._note(state, item, CREATE if created else UPDATE)
        item.data = data
        kind = "create" if created else "update"
        return Change(write.group, write.id, kind, item.version, item.created, data, write.origin)

    def _delete(self, write: Write, state: GroupState, item: _Item) -> Change:
        created, data = item.created, item.data or b""
        self._note(state, item, DELETE)
        version, item.version = item.version, 0
        item.created, item.data = 0, None
        self._deletes.append((self.seq, state.gid, version, write.id, state.last_delete, self._stamp))
        state.items -= 1
        state.last_delete = self.seq
        return Change(write.group, write.id, "delete", version, created, data, write.origin)

    def _note(self, state: GroupState, item: _Item, kind: int) -> None:
        """Give the item the group's next version, and append to the log."""
        self.seq += 1
        state.version += 1
        self._log.append((self.seq, state.gid, state.version, item.created, state.last, kind, self._stamp))
        state.last = self.seq
        item.version = state.version
        item.written = True

    def _first(self, write: Write) -> Change | None:
        """What became of the first write with this key, if there was one."""
        state = self.changed.get(write.group) or self._found[write.group]
        row: tuple[str, ChangeKind, int, int, bytes] | None = None
        if state is not None:
            row = self._db.execute(_KEY, (state.gid, write.key)).get
        if row is None:
            return None
        item_id, kind, version, created, data = row
        return Change(write.group, item_id, kind, version, created, data, write.origin)

    def _keep_key(self, key: str, gid: int, change: Change) -> None:
        kept = (gid, key, self._stamp, change.id, change.kind, change.version, change.created, change.data)
        self._db.execute(_NEW_KEY, kept)


def _fault(write: Write) -> HeadwaterError | None:
    try:
        check_names(write)
    except HeadwaterError as fault:
        return fault
    return None
