"""What commits beside items: the outcomes kept for keys, and outbox entries. Owns the tables `keys`,
`outcomes` and `outbox`. Knows no items, no versions and no rules of rejection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headwater.model import Change, ChangeKind, GroupKey, Origin, OutboxEntry, Write
from headwater.storage.base import ENTRY_BYTES
from headwater.storage.sqlite.bulk import Bulk, Row, read_numbers, write_rows
from headwater.storage.sqlite.database import Database

_KEY = "SELECT id, kind, version, created, data FROM keys WHERE gid = ? AND key = ?"
_NEW_KEY = (
    "INSERT INTO keys (gid, key, stamp, id, kind, version, created, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_OUTCOMES = (
    "SELECT part, of_stream, of_name, id, kind, version, created, data FROM outcomes "
    "WHERE stream = ? AND name = ? AND key = ? ORDER BY part"
)
_NEW_OUTCOMES = Bulk(
    "INSERT INTO outcomes "
    "(stream, name, key, part, stamp, of_stream, of_name, id, kind, version, created, data)",
    12,
)
_NEW_ENTRIES = Bulk(
    "INSERT INTO outbox (stream, name, item, kind, version, before, after, step, trace, reason)", 10
)
_PENDING = Bulk(
    "WITH wanted (id) AS (",
    1,
    ") SELECT group_concat(ifnull(o.id, 0)) FROM wanted w LEFT JOIN outbox o ON o.id = w.id",
)
_SETTLE = Bulk("DELETE FROM outbox WHERE id IN (", 1, ")")
_ENTRIES = (
    "SELECT id, stream, name, item, kind, version, before, after, step, trace, reason FROM outbox "
    "WHERE id > ? ORDER BY id LIMIT ?"
)

UNITS = GroupKey("", "")
"""Under which the keys of units are kept. No group has an empty name."""

_AGED = [
    (
        f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE stamp <= ? LIMIT ?)",  # noqa: S608
        f"DELETE FROM {table} WHERE ({row}) IN "  # noqa: S608
        f"(SELECT {row} FROM {table} WHERE stamp <= ? ORDER BY stamp LIMIT ?)",
    )
    for table, row in (("keys", "gid, key"), ("outcomes", "stream, name, key, part"))
]
"""How many rows are old, and how they go."""


class Beside:
    """One batch's keys and entries, inside its transaction."""

    def __init__(self, db: Database, stamp: float) -> None:
        """`stamp` (ms) is the time from which keys age."""
        self._db = db
        self._stamp = stamp
        self._entries: list[Row] = []
        self._pending: set[int] = set()
        self._settled: list[Row] = []

    def first(self, gid: int, write: Write) -> Change | None:
        """What became of the first write with this key to a group, if there was one."""
        row: tuple[str, ChangeKind, int, int, bytes] | None = self._db.execute(_KEY, (gid, write.key)).get
        if row is None:
            return None
        return Change(write.group, *row, write.origin)

    def keep(self, gid: int, key: str, change: Change) -> None:
        """Keep what became of a write to a group."""
        kept = (gid, key, self._stamp, change.id, change.kind, change.version, change.created, change.data)
        self._db.execute(_NEW_KEY, kept)

    def outcomes(self, where: GroupKey, key: str) -> list[Change | None] | None:
        """What became of the writes first done with a key there (UNITS: as one unit); None: it is new."""
        rows = self._db.execute(_OUTCOMES, (*where, key)).fetchall()
        return [_change(row[1:]) for row in rows if row[0] >= 0] if rows else None

    def keep_outcomes(self, where: GroupKey, key: str, changes: Iterable[Change | None]) -> None:
        """Keep what `outcomes` is to answer. A unit without writes leaves a row all the same."""
        rows = [(*where, key, part, self._stamp, *_row(change)) for part, change in enumerate(changes)]
        write_rows(self._db, _NEW_OUTCOMES, rows or [(*where, key, -1, self._stamp, *_row(None))])

    def note(self, write: Write, change: Change, before: bytes | None) -> None:
        """Leave an outbox entry for a change whose write asked for it."""
        after = None if change.kind == "delete" else change.data
        told = (change.group.stream, change.group.group, change.id, change.kind, change.version)
        step, trace = write.origin.step, write.origin.trace
        self._entries.append((*told, before, after, step, trace, write.outbox))

    def look_up(self, entries: list[int]) -> None:
        """Find which of the entries that units want to settle are there."""
        found = read_numbers(self._db, _PENDING, [(entry,) for entry in entries]) if entries else []
        self._pending = {entry for entry in found if entry}

    def missing(self, entries: Iterable[int]) -> int | None:
        """The first of these entries that is not there."""
        return next((entry for entry in entries if entry not in self._pending), None)

    def settle(self, entries: Iterable[int]) -> None:
        """Remove entries that are there."""
        self._settled += [(entry,) for entry in entries]
        self._pending.difference_update(entries)

    def finish(self) -> None:
        """Bring everything to the file."""
        write_rows(self._db, _NEW_ENTRIES, self._entries)
        write_rows(self._db, _SETTLE, self._settled)


def read_entries(db: Database, after: int, limit: int, limit_bytes: int) -> list[OutboxEntry]:
    """See Store.outbox.

    :raises apsw.Error: the file cannot be read.
    """
    found: list[OutboxEntry] = []
    size = 0
    rows = db.execute(_ENTRIES, (after, limit))
    for number, stream, name, item, kind, version, before, now, step, trace, reason in rows:
        if size > limit_bytes:
            break
        size += ENTRY_BYTES + len(before or b"") + len(now or b"")
        origin = Origin(step, trace)
        found.append(
            OutboxEntry(number, GroupKey(stream, name), item, kind, version, before, now, origin, reason)
        )
    rows.close()
    return found


def drop_old_keys(db: Database, cut: float, limit: int) -> int:
    """Drop what keys as old as `cut` (ms) have kept, at most `limit` of each kind; answers how many went, of
    whichever were more."""
    most = 0
    for count, drop in _AGED:
        old: int = db.execute(count, (cut, limit)).get
        if old:
            db.execute(drop, (cut, limit))
        most = max(most, old)
    return most


def bring_back(db: Database, ahead: float, now: float) -> None:
    """Let the keys whose stamps are above `ahead` (ms) age from `now` (ms) on."""
    for table in ("keys", "outcomes"):
        db.execute(f"UPDATE {table} SET stamp = ? WHERE stamp > ?", (now, ahead))  # noqa: S608


def _change(row: Any) -> Change | None:
    stream, name, item, kind, version, created, data = row
    return None if kind is None else Change(GroupKey(stream, name), item, kind, version, created, data)


def _row(change: Change | None) -> Row:
    if change is None:
        return (None,) * 7
    return (*change.group, change.id, change.kind, change.version, change.created, change.data)
