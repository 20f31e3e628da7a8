"""The tables, and how files become and stay what this version expects. Owns all DDL and the marks in a file.

- `groups`: one row a group. Its columns from `version` on are behind by what `log` holds after `meta.settled`
  (see `groups.py`), so that a write does not have to touch this table.
- `items`: clustered by group and creation, so that a snapshot and a stretch of it are one range. An update
  changes one row in place and touches no index.
- `log`: what was written, in the order of commits, always appended at the right edge. `prev` is the sequence
  of the same group's write before, so "what changed after v" is a walk backwards, without an index that every
  write would have to keep. Bounded in rows; from older versions on, a group is scanned instead.
- `deletes`: the tombstones, chained the same way, kept by age. One whose id lives again counts no more.
- `keys`: the outcomes of writes that carried a key, kept by age.
- `outcomes`: the same for units, under no stream and no name, one row a write (`kind` null: a delete of
  nothing); and for writes to groups without history, which may be forgotten before their keys are old.
- `outbox`: entries until they are settled.
- `bases`: the base of each stream that ever had a group without history. Such a group (`groups.history` 0)
  has no rows in `log` and `deletes`, and its row is always current.
- `meta`: `epoch`, `base`, `settled` (the log is in `groups` up to here), `running` (how the process that has
  the file open syncs it; null after a clean end), `run` (its mark, see `runs.py`), `links` (see
  `write_ahead.py`), `unlogged` (the commits that left no row in `log`), `stamp` (that of the last of them).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headwater.errors import StoreCorrupt, StoreUnavailable
from headwater.storage.sqlite.database import Database, transaction

APPLICATION_ID = 0x48574154
"""Marks the file as Headwater's: "HWAT" in ASCII."""

JOURNAL_BYTES = 64 * 1024 * 1024
"""A write-ahead log that a burst made longer than this is cut back to it at the next restart of the log."""

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE groups (
  gid INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, name TEXT NOT NULL,
  version INTEGER NOT NULL, floor INTEGER NOT NULL, items INTEGER NOT NULL,
  last INTEGER NOT NULL, last_delete INTEGER NOT NULL,
  UNIQUE (stream, name)
) STRICT;
CREATE TABLE items (
  gid INTEGER NOT NULL, created INTEGER NOT NULL, version INTEGER NOT NULL,
  id TEXT NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (gid, created)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX items_by_id ON items (gid, id);
CREATE TABLE log (
  seq INTEGER PRIMARY KEY, gid INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
  prev INTEGER NOT NULL, kind INTEGER NOT NULL, stamp REAL NOT NULL
) STRICT;
CREATE TABLE deletes (
  seq INTEGER PRIMARY KEY, gid INTEGER NOT NULL, version INTEGER NOT NULL, id TEXT NOT NULL,
  prev INTEGER NOT NULL, stamp REAL NOT NULL
) STRICT;
INSERT INTO meta VALUES ('epoch', ''), ('base', 0), ('settled', 0), ('running', NULL);
"""

_EXPIRY_AND_KEYS = """
ALTER TABLE items ADD COLUMN expires REAL;
CREATE INDEX items_due ON items (expires) WHERE expires IS NOT NULL;
CREATE TABLE keys (
  gid INTEGER NOT NULL, key TEXT NOT NULL, stamp REAL NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
  version INTEGER NOT NULL, created INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (gid, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_age ON keys (stamp);
"""

_UNITS_AND_WORK = """
ALTER TABLE groups ADD COLUMN history INTEGER NOT NULL DEFAULT 1;
CREATE TABLE bases (stream TEXT PRIMARY KEY, base INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outcomes (
  stream TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, part INTEGER NOT NULL, stamp REAL NOT NULL,
  of_stream TEXT, of_name TEXT, id TEXT, kind TEXT, version INTEGER, created INTEGER, data BLOB,
  PRIMARY KEY (stream, name, key, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcomes_by_age ON outcomes (stamp);
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, name TEXT NOT NULL, item TEXT NOT NULL,
  kind TEXT NOT NULL, version INTEGER NOT NULL, before BLOB, after BLOB,
  step TEXT NOT NULL, trace TEXT NOT NULL, reason BLOB NOT NULL
) STRICT;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _EXPIRY_AND_KEYS, _UNITS_AND_WORK)
"""Script n brings a file from schema version n to n + 1. Never change one that was released: append."""


def prepare(db: Database, file: Path) -> None:
    """Make a new file a store, or bring an old one up to date.

    :raises StoreCorrupt: the file is a database of something else.
    :raises StoreUnavailable: the file was written by a newer Headwater.
    :raises apsw.Error: the file cannot be read or written.
    """
    version = _check(db, file)
    if (mode := db.pragma("journal_mode", "wal")) != "wal":
        raise StoreUnavailable(
            f"{file} cannot keep a write-ahead log (SQLite answers {mode!r}).",
            hint="Put the file on a local disk; network file systems do not support it.",
            file=str(file),
        )
    db.execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
    if version < len(MIGRATIONS):
        with transaction(db):
            for script in MIGRATIONS[version:]:
                db.execute(script)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def _check(db: Database, file: Path) -> int:
    """The schema version of a file that is ours or empty."""
    tables: int = db.execute("SELECT count(*) FROM sqlite_schema").get
    mark: int = db.pragma("application_id")
    version: int = db.pragma("user_version")
    if tables and mark != APPLICATION_ID:
        raise StoreCorrupt(
            f"{file} is a SQLite database, but none of Headwater's.",
            hint="Give the server another [storage] url; this file is left as it is.",
            file=str(file),
        )
    if version > len(MIGRATIONS):
        raise StoreUnavailable(
            f"{file} has schema {version}, this Headwater knows schemas up to {len(MIGRATIONS)}.",
            hint="Start it with the Headwater version that wrote it, or a newer one.",
            file=str(file),
        )
    return version


def meta(db: Database, name: str) -> Any:
    """One value of the table `meta`."""
    return db.execute("SELECT value FROM meta WHERE name = ?", (name,)).get


def put_meta(db: Database, **values: Any) -> None:
    """Give values of the table `meta`, in one statement."""
    rows = ", ".join(["(?, ?)"] * len(values))
    db.execute(
        f"INSERT INTO meta VALUES {rows} ON CONFLICT (name) DO UPDATE SET value = excluded.value",  # noqa: S608
        [part for pair in values.items() for part in pair],
    )


def position_of(db: Database) -> int:
    """How many commits the file holds, counted so that each commit of this run counts one or more: the rows
    of the log that there ever were, and the commits that left none."""
    logged: int = db.execute("SELECT ifnull(max(seq), 0) FROM log").get
    return logged + (meta(db, "unlogged") or 0)
