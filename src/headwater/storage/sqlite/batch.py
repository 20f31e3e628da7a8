"""The units of one transaction. Owns what each write does, and what is to be published then.

The items that the writes concern are looked up at once, the writes are applied to them in memory, one after
the other, and what came of it goes to the file at the end. Whatever rejects a write or a unit (`decide.py`)
is known before any of it is done; so nothing is undone, and what SQLite raises ends the whole batch. Knows no
threads, checkpoints or readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Unit, Write
from headwater.storage.base import Committed, Outcome, Repeated, UnitOutcome
from headwater.storage.decide import (
    Found,
    already_settled,
    check_unit,
    check_write,
    data_after,
    needs_current,
    unit_after,
)
from headwater.storage.sqlite.beside import UNITS, Beside
from headwater.storage.sqlite.bulk import Bulk, Row, read_numbers, write_rows
from headwater.storage.sqlite.database import Database
from headwater.storage.sqlite.groups import (
    CREATE,
    DELETE,
    UPDATE,
    GroupState,
    KnownGroups,
    is_over,
    load,
    write_bases,
    write_states,
)

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
    "INSERT INTO groups (stream, name, version, floor, items, last, last_delete, history) "
    "VALUES (?, ?, ?, ?, 0, 0, 0, ?)"
)
_LOG = Bulk("INSERT INTO log (seq, gid, version, created, prev, kind, stamp)", 7)
_DELETES = Bulk("INSERT INTO deletes (seq, gid, version, id, prev, stamp)", 6)


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
        self._beside = Beside(db, stamp)
        self._found: dict[GroupKey, GroupState | None] = {}
        self._items: dict[tuple[GroupKey, str], _Item] = {}
        self._log: list[Row] = []
        self._deletes: list[Row] = []
        self.seq = seq
        self.dirty = False
        """Whether there is anything to commit."""
        self.changed: dict[GroupKey, GroupState] = {}
        self.bases: dict[str, int] = {}
        """The bases of streams, as far as the batch changes them."""

    def run(self, units: Sequence[Write | Unit]) -> list[UnitOutcome]:
        """Do the units in order and answer what became of each; `finish` then brings them to the file.

        :raises apsw.Error: the file failed; the transaction is lost.
        """
        rejections = [_fault(unit) for unit in units]
        sound: list[Write] = []
        settled: list[int] = []
        for unit, fault in zip(units, rejections, strict=True):
            if fault is not None:
                continue
            if isinstance(unit, Write):
                sound.append(unit)
            else:
                sound += unit.writes
                settled += unit.settles
        self._look_up(sound)
        self._beside.look_up(settled)
        return [
            fault or (self._apply(unit) if isinstance(unit, Write) else self._apply_unit(unit))
            for unit, fault in zip(units, rejections, strict=True)
        ]

    def finish(self) -> None:
        """Bring everything to the file.

        :raises apsw.Error: the file failed; the transaction is lost.
        """
        self._settle_groups()
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
        self._beside.finish()

    def _settle_groups(self) -> None:
        """Write the rows of groups without history, whose writes no log holds, and forget those that are
        over."""
        current = [(key, state) for key, state in self.changed.items() if not state.history]
        for key, state in current:
            if is_over(state):
                self.bases[key.stream] = max(self._base_of(key.stream), state.version)
        if current:
            write_states(self._db, [state for _, state in current])
        if self.bases:
            write_bases(self._db, self.bases)

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
        change = self._do(write, item, after)
        if change is not None and write.key is not None:
            self._keep_key(write.key, change)
        return change

    def _apply_unit(self, unit: Unit) -> UnitOutcome:
        if unit.key is not None and (first := self._beside.outcomes(UNITS, unit.key)) is not None:
            return Committed(first, repeated=True)
        if (missing := self._beside.missing(unit.settles)) is not None:
            return already_settled(missing)
        try:
            after = unit_after(unit.writes, self._find, self._version_of)
        except HeadwaterError as rejection:
            return rejection
        changes = [
            self._do(write, self._items[write.group, write.id], data)
            for write, data in zip(unit.writes, after, strict=True)
        ]
        changed = any(changes) or bool(unit.settles)
        if unit.settles:
            self.dirty = True
            self._beside.settle(unit.settles)
        if unit.key is not None and changed:
            self._beside.keep_outcomes(UNITS, unit.key, changes)
        return Committed(changes)

    def _do(self, write: Write, item: _Item, after: bytes | None) -> Change | None:
        """Do a write that is not rejected."""
        if after is None and not item.created:
            return None
        state = self.changed.get(write.group) or self._change(write)
        before = item.data if item.created else None
        change = (
            self._put(write, state, item, after) if after is not None else self._delete(write, state, item)
        )
        if write.outbox is not None:
            self._beside.note(write, change, before)
        self.dirty = True
        return change

    def _find(self, write: Write) -> Found:
        item = self._items[write.group, write.id]
        return Found(bool(item.created), item.version, item.data)

    def _version_of(self, key: GroupKey) -> int:
        state = self.changed.get(key) or self._found[key]
        return self._base_of(key.stream) if state is None else state.version

    def _base_of(self, stream: str) -> int:
        base = self.bases.get(stream)
        return self._known.base_of(stream) if base is None else base

    def _change(self, write: Write) -> GroupState:
        """The state of a write's group as this batch changes it: a copy, or a new group."""
        key = write.group
        state = self._found[key]
        if state is None:
            base = self._base_of(key.stream)
            if not write.history and key.stream not in self._known.bases:
                self.bases.setdefault(key.stream, base)
            self._db.execute(_NEW_GROUP, (key.stream, key.group, base, base, write.history))
            state = GroupState(self._db.last_insert_rowid(), base, base, 0, 0, 0, int(write.history))
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
        state.items -= 1
        if state.history:
            self._deletes.append((self.seq, state.gid, version, write.id, state.last_delete, self._stamp))
            state.last_delete = self.seq
        else:
            state.floor = version
        return Change(write.group, write.id, "delete", version, created, data, write.origin)

    def _note(self, state: GroupState, item: _Item, kind: int) -> None:
        """Give the item the group's next version, and append to the log of a group with history."""
        state.version += 1
        if state.history:
            self.seq += 1
            stamp = self._stamp
            self._log.append((self.seq, state.gid, state.version, item.created, state.last, kind, stamp))
            state.last = self.seq
        item.version = state.version
        item.written = True

    def _first(self, write: Write) -> Change | None:
        """What became of the first write with this key, if there was one."""
        state = self.changed.get(write.group) or self._found[write.group]
        first = None if state is None else self._beside.first(state.gid, write)
        if first is None and write.key is not None and self._has_own_base(write.group.stream):
            (first,) = self._beside.outcomes(write.group, write.key) or (None,)
        return first

    def _keep_key(self, key: str, change: Change) -> None:
        state = self.changed[change.group]
        if state.history:
            self._beside.keep(state.gid, key, change)
        else:
            self._beside.keep_outcomes(change.group, key, [change])

    def _has_own_base(self, stream: str) -> bool:
        return stream in self.bases or stream in self._known.bases


def _fault(unit: Write | Unit) -> HeadwaterError | None:
    try:
        if isinstance(unit, Write):
            check_write(unit)
        else:
            check_unit(unit)
    except HeadwaterError as fault:
        return fault
    return None
