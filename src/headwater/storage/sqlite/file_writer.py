"""The only one who writes the file. Owns the write connection, its transactions, and the pruning of the log.

Every method runs on the writer's thread. A connection that failed is opened anew for the next call, so the
store goes on by itself once the cause is gone; what is in memory changes only after a commit has succeeded.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import apsw

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Unit, Write
from headwater.storage.base import AHEAD_SECONDS, UnitOutcome
from headwater.storage.sqlite.batch import Batch
from headwater.storage.sqlite.beside import bring_back, drop_old_keys
from headwater.storage.sqlite.checkpoint import Checkpoints, copy_back
from headwater.storage.sqlite.database import Database, close_clean, connect, roll_back, transaction
from headwater.storage.sqlite.errors import translate
from headwater.storage.sqlite.groups import COLUMNS, GroupState, KnownGroups, write_bases
from headwater.storage.sqlite.marker import Marker
from headwater.storage.sqlite.reader import Reader
from headwater.storage.sqlite.runs import begin_run, end_run
from headwater.storage.sqlite.schema import meta, prepare, put_meta
from headwater.storage.sqlite.standing import Standing
from headwater.storage.sqlite.write_ahead import Chain, check_log

log = logging.getLogger("headwater.storage")

LOG_ROWS = 1_000_000
"""Log rows kept, at about 35 bytes. A reader further behind than them is served by a scan of its group."""
PRUNE_ROWS = 1_024
"""Log rows dropped at once, as part of a commit: under a millisecond."""

_GROUP = f"SELECT stream, name, {COLUMNS} FROM groups WHERE gid = ?"  # noqa: S608
_AGED = "SELECT seq, gid, version FROM (SELECT * FROM deletes ORDER BY seq LIMIT ?) WHERE stamp <= ?"
_NOT_AHEAD = "SELECT seq FROM deletes WHERE stamp <= ? ORDER BY seq DESC LIMIT 1"
_LAST = "SELECT seq, stamp FROM log ORDER BY seq DESC LIMIT 1"


class _Aged(NamedTuple):
    """A delete whose time is over."""

    seq: int
    gid: int
    version: int


class Opened(NamedTuple):
    """What the file told when it was opened."""

    epoch: str
    stamp: float


class FileWriter:
    """Commits, sweeps and checkpoints. `fence` orders publishing against readers who begin a snapshot."""

    def __init__(self, file: Path, synchronous: str, fence: Lock) -> None:
        self._file = file
        self._synchronous = synchronous
        self._fence = fence
        self._db: Database | None = None
        self._seq = 0
        self._unlogged = 0
        self._log_start = 0
        self._standing = Standing(file)
        self._lost: StoreUnavailable | None = None
        self.known: KnownGroups
        self.marker = Marker(file)
        self._chain = Chain(file)
        self.checkpoints = Checkpoints(file, self._chain.began_anew, self._chain.is_foreign_to_file)

    def open(self, *, new_epoch: bool = False) -> Opened:
        """Open or make the file; `new_epoch` begins one in any case.

        :raises StoreUnavailable: (or a subclass) it cannot be used.
        """
        with self._translated():
            check_log(self._file, self.marker)
            db = self._db = connect(self._file, create=True)
            prepare(db, self._file)
            epoch = begin_run(
                db, self._file, self.marker, self._chain, self._synchronous, new_epoch=new_epoch
            )
            self.known = KnownGroups(db)
            self._seq, stamp = db.execute(_LAST).get or (0, 0.0)
            self._unlogged = meta(db, "unlogged") or 0
            self._log_start = db.execute("SELECT ifnull(min(seq), 1) FROM log").get
            self.checkpoints.watch(db)
            self._standing.expect()
            return Opened(epoch, max(stamp, meta(db, "stamp") or 0.0))

    def reader(self) -> Reader:
        """A reader of the open file, for another thread."""
        return Reader(self._file, self.known, self._fence)

    def commit(self, units: Sequence[Write | Unit], stamp: float) -> list[UnitOutcome]:
        """Do the units in one transaction.

        :raises StoreUnavailable: (or a subclass) none of them was done.
        """
        with self._translated():
            db = self._connection()
            if not units:
                with transaction(db):
                    put_meta(db, stamp=stamp, unlogged=self._unlogged + 1)
                    self._link(db)
                self._came_to(self._seq, self._unlogged + 1)
                return []
            db.execute("BEGIN IMMEDIATE")
            batch = Batch(db, self.known, self._seq, stamp)
            outcomes = batch.run(units)
            if batch.dirty:
                self._conclude(db, batch, stamp)
            else:
                db.execute("ROLLBACK")
            return outcomes

    def sweep(self, now: float, tombstone_age: float, limit: int) -> int:
        """Age out deletes and keys and forget empty groups; answers how many went, of whichever were more.

        :raises StoreUnavailable: (or a subclass) nothing was changed.
        """
        with self._translated():
            db = self._connection()
            self._bring_back(db, now)
            cut = (now - tombstone_age) * 1000.0
            aged = [_Aged(*row) for row in db.execute(_AGED, (limit, cut))]
            if aged:
                self._age_out(db, aged)
            return max(len(aged), drop_old_keys(db, cut, limit))

    def restart_log(self) -> None:
        """Let the write-ahead log begin anew, between two commits."""
        self.checkpoints.restart(self._db)

    def close(self) -> None:
        """Settle everything and mark the file as cleanly closed.

        :raises StoreUnavailable: (or a subclass) the mark could not be made; the data is as safe as ever.
        """
        try:
            with self._translated():
                db = self._connection()
                self._check_files(inside=True)
                with transaction(db):
                    self.known.settle_all(db)
                end_run(db, self.marker)
                close_clean(db)
        finally:
            self.marker.close()

    def _conclude(self, db: Database, batch: Batch, stamp: float) -> None:
        """Write the log, do what housekeeping is due, commit, and publish."""
        batch.finish()
        self._link(db)
        unlogged = self._unlogged + (batch.seq == self._seq)
        if unlogged != self._unlogged:
            put_meta(db, stamp=stamp, unlogged=unlogged)  # No row of the log carries it.
        due = self.known.due(batch.seq)
        if due:
            self.known.settle(db, due, batch.changed)
            put_meta(db, settled=self.known.settled_through(due, self._seq))
        log_start = self._prune(db, batch.seq)
        with self._fence:
            db.execute("COMMIT")
            self.known.publish(batch.changed, set(due), self._seq, batch.bases)
        self._log_start = log_start
        self._came_to(batch.seq, unlogged)

    def _link(self, db: Database) -> None:
        """In a transaction: give the link that is due, or one in advance where the log may begin anew with
        it."""
        if self.checkpoints.all_copied:
            self._chain.give(db)
        else:
            self._chain.give_due(db)

    def _came_to(self, seq: int, unlogged: int) -> None:
        """A commit is done."""
        self._seq, self._unlogged = seq, unlogged
        self.marker.keep(seq + unlogged)
        self._standing.committed()
        self._chain.committed()

    def _prune(self, db: Database, seq: int) -> int:
        """Drop the oldest rows of a log that is too long; answers where it starts then."""
        surplus = seq - self._log_start - LOG_ROWS
        if surplus < PRUNE_ROWS:
            return self._log_start
        start = self._log_start + max(PRUNE_ROWS, surplus // 2)
        db.execute("DELETE FROM log WHERE seq < ?", (start,))
        return start

    def _age_out(self, db: Database, aged: list[_Aged]) -> None:
        """Forget deletes, the oldest first, in one transaction.

        - A group that still holds items, or has deletes that are younger: its floor rises, so that who is
          behind it starts over.
        - One that is empty and has none left is forgotten. Its version must never be reached again by another
          of that name, so the base of its stream, where that has one of its own, or that of all rises to it.
        """
        last = aged[-1].seq
        floors = {one.gid: one.version for one in aged}
        changed: dict[GroupKey, GroupState] = {}
        forgotten: list[GroupKey] = []
        base, bases = self.known.base, dict(self.known.bases)
        db.execute("BEGIN IMMEDIATE")
        self.known.settle_all(db)
        for gid, floor in floors.items():
            stream, name, *row = self._group(db, gid)
            key, state = GroupKey(stream, name), GroupState(*row)
            state.floor = floor
            if state.items == 0 and state.last_delete <= last:
                db.execute("DELETE FROM keys WHERE gid = ?", (gid,))
                db.execute("DELETE FROM groups WHERE gid = ?", (gid,))
                forgotten.append(key)
                if stream in bases:
                    bases[stream] = max(bases[stream], state.version)
                else:
                    base = max(base, state.version)
            else:
                db.execute("UPDATE groups SET floor = ? WHERE gid = ?", (floor, gid))
                changed[key] = state
        db.execute("DELETE FROM deletes WHERE seq <= ?", (last,))
        put_meta(db, base=base, unlogged=self._unlogged + 1)
        if bases != self.known.bases:
            write_bases(db, bases)
        with self._fence:
            db.execute("COMMIT")
            self.known.replace(changed, forgotten, base, bases)
        self._came_to(self._seq, self._unlogged + 1)

    @staticmethod
    def _bring_back(db: Database, now: float) -> None:
        """Let what lies in the future age from now on. Stamps never decrease, so it is the last deletes."""
        ahead = (now + AHEAD_SECONDS) * 1000.0
        last: float | None = db.execute("SELECT stamp FROM deletes ORDER BY seq DESC LIMIT 1").get
        if last is not None and last > ahead:
            seq: int = db.execute(_NOT_AHEAD, (ahead,)).get or 0
            db.execute("UPDATE deletes SET stamp = ? WHERE seq > ?", (now * 1000.0, seq))
        bring_back(db, ahead, now * 1000.0)

    @staticmethod
    def _group(db: Database, gid: int) -> tuple[Any, ...]:
        row: tuple[Any, ...] = db.execute(_GROUP, (gid,)).get
        return row

    def _connection(self) -> Database:
        self._check_files()
        if self._db is None:
            db = connect(self._file)
            db.execute(f"PRAGMA synchronous={self._synchronous}")
            self.checkpoints.watch(db)
            self._chain.resume(db)
            self._db = db
        return self._db

    def is_lost(self) -> bool:
        """Whether a file was removed, replaced or overwritten; may be asked from another thread."""
        return self._is_gone() or self._chain.is_foreign_to_file()

    def look(self) -> None:
        """Notice a file that was lost, though nothing is written."""
        with suppress(StoreUnavailable):
            self._check_files(inside=True)

    def _is_gone(self) -> bool:
        return self._standing.file_is_lost() or self._standing.log_is_lost()

    def _check_files(self, *, inside: bool = False) -> None:
        """From the first file that is lost on, nothing is written any more; it is told once.

        `inside` looks into the file too, which takes a moment.

        While the log alone is gone, the connection still has it, and copies it into the file.
        """
        if self._lost is None:
            gone = self._is_gone()
            overwritten = (inside or gone) and self._chain.is_foreign_to_file()
            if gone or overwritten:
                self._lose(overwritten=overwritten)
        if self._lost is not None:
            raise StoreUnavailable(self._lost.message, hint=self._lost.hint, file=str(self._file))

    def _lose(self, *, overwritten: bool) -> None:
        copied = False
        if self._db is not None and not (overwritten or self._standing.file_is_lost()):
            with suppress(apsw.Error):
                copied = copy_back(self._db)
        lost = self._lost = self._standing.fault(copied=copied, overwritten=overwritten)
        log.error("%s %s Writes are refused.", lost.message, lost.hint)

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Give the file's errors their place in the error tree; what failed leaves no open transaction."""
        try:
            yield
        except StoreUnavailable:
            self._drop()
            raise
        except (apsw.Error, OSError) as error:
            self._recover(error)
            raise translate(error, self._file) from error
        except BaseException:
            self._drop()
            raise

    def _recover(self, error: Exception) -> None:
        """Keep a connection that only has to roll back; drop one that may be broken."""
        self._chain.rolled_back()
        if isinstance(error, (apsw.FullError, apsw.BusyError)) and self._db is not None:
            try:
                roll_back(self._db)
            except apsw.Error:
                self._drop()
        else:
            self._drop()

    def _drop(self) -> None:
        self._chain.rolled_back()
        db, self._db = self._db, None
        if db is not None:
            db.close()
            self._standing.closed()
