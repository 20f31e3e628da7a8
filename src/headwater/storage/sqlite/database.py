"""The part of apsw that the store uses, with types. Owns opening a connection and ending a transaction;
knows no table.

apsw's own types are partly unknown to checkers below Python 3.12, so they are named here once. The protocols
describe apsw's objects as they are: nothing is wrapped and nothing costs a call.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import apsw

BUSY_MS = 2_000
"""Milliseconds that a statement waits for another program's lock before it fails."""

CACHE_KIB = 16 * 1024
"""Page cache of one connection, filled as needed, in KiB. A larger one was no faster at a million items: the
system caches the file too."""

STATEMENTS = 400
"""Prepared statements that a connection keeps: enough for the lengths of every bulk statement."""

Bindings = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """What a statement answers. Column types are SQLite's, so whoever wrote the statement names them."""

    @property
    def get(self) -> Any:
        """All of it with the least structure: a value, one row as a tuple, a list of rows, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows, each a tuple."""
        ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self, force: bool = False) -> None:
        """Ask for no more rows. One that is not read to its end keeps its moment of the file until then."""
        ...


class Database(Protocol):
    """One connection."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, statements: str, bindings: Bindings | None = None) -> Rows:
        """Run SQL; the first row is there when it returns."""
        ...

    def executemany(self, statements: str, sequenceofbindings: Iterable[Bindings]) -> Rows:
        """Run SQL once for each of the bindings."""
        ...

    def last_insert_rowid(self) -> int:
        """The row id that the last INSERT made."""
        ...

    def pragma(self, name: str, value: Any = None) -> Any:
        """Read or set a pragma; answers its value."""
        ...

    def config(self, op: int, *args: int) -> int:
        """Set an option of the connection."""
        ...

    def set_busy_timeout(self, milliseconds: int) -> None:
        """How long to wait for locks."""
        ...

    def set_wal_hook(self, callback: Callable[[Any, str, int], int] | None) -> None:
        """Have the length of the write-ahead log, in pages, told after each commit."""
        ...

    def wal_checkpoint(self, dbname: str | None = None, mode: int = 0) -> tuple[int, int]:
        """Copy the write-ahead log into the file; answers its pages and how many of them were copied."""
        ...

    def close(self) -> None:
        """Close, rolling back an open transaction."""
        ...


def connect(file: Path, *, create: bool = False) -> Database:
    """A connection to a file, without a look at what the file holds.

    Its end copies no log back: the file may be another one by then. Only a clean end does, see `close_clean`.

    :raises apsw.Error: the file cannot be opened.
    """
    db = connect_bare(str(file), apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0))
    try:
        db.set_busy_timeout(BUSY_MS)
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        for pragma in (f"cache_size=-{CACHE_KIB}", "temp_store=memory", "wal_autocheckpoint=0"):
            db.execute(f"PRAGMA {pragma}")
    except apsw.Error:
        db.close()
        raise
    return db


def close_clean(db: Database) -> None:
    """Close the last connection, so that the log is copied back and removed."""
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
    db.close()


def connect_bare(address: str, flags: int) -> Database:
    """A connection with SQLite's own options.

    :raises apsw.Error: the file cannot be opened.
    """
    return cast(Database, apsw.Connection(address, flags=flags, statementcachesize=STATEMENTS))


@contextmanager
def transaction(db: Database) -> Generator[None]:
    """All or nothing, at once with the right to write."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        roll_back(db)
        raise


def roll_back(db: Database) -> None:
    """End a transaction without its effects. SQLite has done so already after some errors."""
    if db.in_transaction:
        db.execute("ROLLBACK")
