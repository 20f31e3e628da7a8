"""The writes of one transaction. Owns what each write does to the tables, and what is to be published then.

A write first finds out what it means (`decide.py`), which may reject it alone, and only then touches the
file; so whatever SQLite raises here ends the whole batch. Knows no threads, checkpoints or readers.
"""

from __future__ import annotations

from typing import Any, cast

from headwater.errors import HeadwaterError
from headwater.model import Change, ChangeKind, GroupKey, Write
from headwater.storage.base import Outcome, Repeated
from headwater.storage.decide import check_names, data_after, needs_current
from headwater.storage.sqlite.database import Database
from headwater.storage.sqlite.groups import CREATE, DELETE, UPDATE, GroupState, KnownGroups, load

_CREATED = "SELECT created FROM items WHERE gid = ? AND id = ?"
_CURRENT = "SELECT created, version, data FROM items WHERE gid = ? AND id = ?"
_INSERT = "INSERT INTO items (gid, created, version, id, data, expires) VALUES (?, ?, ?, ?, ?, ?)"
_REPLACE = "UPDATE items SET version = ?, data = ?, expires = ? WHERE gid = ? AND created = ?"
_CHANGE = "UPDATE items SET version = ?, data = ? WHERE gid = ? AND created = ?"
_KEY = "SELECT id, kind, version, created, data FROM keys WHERE gid = ? AND key = ?"
_NEW_KEY = (
    "INSERT INTO keys (gid, key, stamp, id, kind, version, created, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
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
            if write.key is not None and (first := self._first(write, state)) is not None:
                return Repeated(first)
            current = self._current(write, state)
            _, version, data = current or (0, 0, None)
            after = data_after(write, version, data)
        except HeadwaterError as rejection:
            return rejection
        if after is None and (state is None or current is None):
            return None
        changing = self._change(write.group, state)
        if after is not None:
            change = self._put(write, changing, current, after)
        else:
            change = self._delete(write, changing, cast(_Current, current))
        if write.key is not None:
            self._keep_key(write.key, changing.gid, change)
        return change

    def _first(self, write: Write, state: GroupState | None) -> Change | None:
        """What became of the first write with this key, if there was one."""
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
            self._db.execute(_INSERT, (state.gid, created, version, write.id, data, write.expires))
            self._note(state, version, created, CREATE)
            state.items += 1
            return Change(write.group, write.id, "create", version, created, data, write.origin)
        created = current[0]
        if write.kind == "update":
            self._db.execute(_CHANGE, (version, data, state.gid, created))
        else:
            self._db.execute(_REPLACE, (version, data, write.expires, state.gid, created))
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
