"""The writes of one transaction. Owns what each write does to the tables, and what is to be published then.

A write first finds out what it means (`decide.py`), which may reject it alone, and only then touches the
file; so whatever SQLite raises here ends the whole batch. Knows no threads, checkpoints or readers.
"""

from __future__ import annotations

from typing import Any

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Write
from headwater.storage.base import Outcome
from headwater.storage.decide import check_names, data_after, needs_current
from headwater.storage.sqlite.database import Database
from headwater.storage.sqlite.groups import CREATE, DELETE, UPDATE, GroupState, KnownGroups, load

_CREATED = "SELECT created FROM items WHERE gid = ? AND id = ?"
_CURRENT = "SELECT created, version, data FROM items WHERE gid = ? AND id = ?"
_INSERT = "INSERT INTO items (gid, created, version, id, data) VALUES (?, ?, ?, ?, ?)"
_REPLACE = "UPDATE items SET version = ?, data = ? WHERE gid = ? AND created = ?"
_DELETE = "DELETE FROM items WHERE gid = ? AND created = ?"
_NEW_GROUP = (
    "INSERT INTO groups (stream, name, version, floor, items, last, last_delete) VALUES (?, ?, ?, ?, 0, 0, 0)"
)
_LOG = "INSERT INTO log (seq, gid, version, created, prev, kind, stamp) VALUES (?, ?, ?, ?, ?, ?, ?)"
_DELETES = "INSERT INTO deletes (seq, gid, version, id, prev, stamp) VALUES (?, ?, ?, ?, ?, ?)"

_Current = tuple[int, int, bytes | None]
"""Creating version, version and data of an item; version and data only where the write needs them."""


class Batch:
    """Applies writes inside an open transaction. Discard it with the transaction when anything raises."""

    def __init__(self, db: Database, known: KnownGroups, seq: int, stamp: float) -> None:
        """`seq` is the log's last sequence, `stamp` (ms) the time of the writes."""
        self._db = db
        self._known = known
        self._stamp = stamp
        self._log: list[tuple[Any, ...]] = []
        self._deletes: list[tuple[Any, ...]] = []
        self.seq = seq
        self.changed: dict[GroupKey, GroupState] = {}

    def apply(self, write: Write) -> Outcome:
        """Do one write and answer what became of it.

        :raises apsw.Error: the file failed; the transaction is lost.
        """
        try:
            check_names(write)
            state = (
                self.changed.get(write.group) or self._known.get(write.group) or load(self._db, write.group)
            )
            current = self._current(write, state)
            _, version, data = current or (0, 0, None)
            after = data_after(write, version, data)
        except HeadwaterError as rejection:
            return rejection
        if after is not None:
            return self._put(write, self._change(write.group, state), current, after)
        if state is None or current is None:
            return None
        return self._delete(write, self._change(write.group, state), current)

    def finish(self) -> None:
        """Write the log of the batch.

        :raises apsw.Error: the file failed; the transaction is lost.
        """
        self._db.executemany(_LOG, self._log)
        if self._deletes:
            self._db.executemany(_DELETES, self._deletes)

    def _current(self, write: Write, state: GroupState | None) -> _Current | None:
        if state is None:
            return None
        where = (state.gid, write.id)
        if needs_current(write):
            found: _Current | None = self._db.execute(_CURRENT, where).get
            return found
        created: int | None = self._db.execute(_CREATED, where).get
        return None if created is None else (created, 0, None)

    def _change(self, key: GroupKey, state: GroupState | None) -> GroupState:
        """The group's state as this batch changes it: a copy, or a new group."""
        if key in self.changed:
            return self.changed[key]
        if state is None:
            base = self._known.base
            self._db.execute(_NEW_GROUP, (key.stream, key.group, base, base))
            state = GroupState(self._db.last_insert_rowid(), base, base, 0, 0, 0)
        copy = self.changed[key] = state.copy()
        return copy

    def _put(self, write: Write, state: GroupState, current: _Current | None, data: bytes) -> Change:
        version = state.version + 1
        if current is None:
            created = version
            self._db.execute(_INSERT, (state.gid, created, version, write.id, data))
            self._note(state, version, created, CREATE)
            state.items += 1
            return Change(write.group, write.id, "create", version, created, data, write.origin)
        created = current[0]
        self._db.execute(_REPLACE, (version, data, state.gid, created))
        self._note(state, version, created, UPDATE)
        return Change(write.group, write.id, "update", version, created, data, write.origin)

    def _delete(self, write: Write, state: GroupState, current: _Current) -> Change:
        created, _, data = current
        version = state.version + 1
        self._db.execute(_DELETE, (state.gid, created))
        self._note(state, version, created, DELETE)
        self._deletes.append((self.seq, state.gid, version, write.id, state.last_delete, self._stamp))
        state.items -= 1
        state.last_delete = self.seq
        return Change(write.group, write.id, "delete", version, created, data or b"", write.origin)

    def _note(self, state: GroupState, version: int, created: int, kind: int) -> None:
        """Append to the log and move the group on."""
        self.seq += 1
        self._log.append((self.seq, state.gid, version, created, state.last, kind, self._stamp))
        state.version = version
        state.last = self.seq
