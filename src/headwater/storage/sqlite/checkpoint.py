"""Keeps the write-ahead log short without holding up commits. Owns the checkpointing thread and connection.

A checkpoint copies the log's pages into the file and syncs it, which takes long and may run beside commits
(PASSIVE). But the log begins anew only when nothing of it is left to copy, which under a storm of writes
never happens by itself. So once the log is over its bound, PASSIVE rounds copy nearly all, and the writer
does the small rest between two commits (RESTART).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import apsw

from headwater.storage.sqlite.database import BUSY_MS, Database, connect

PASSIVE_PAGES = 1_024
"""Pages in the log (of 4 KiB) since the last checkpoint at which the next one begins: 4 MiB."""
RESTART_PAGES = 6_144
"""Pages in the log at which it has to begin anew: 24 MiB."""
RESTART_REST_PAGES = 256
"""Pages that may be left for the writer to copy; more are copied beside it first, if that keeps up."""
MAX_ROUNDS = 4
"""How often that is tried."""
RESTART_WAIT_MS = 20
"""How long the writer waits for readers to leave the log."""
RETRY_SECONDS = 1.0
"""When to try again if they did not, or the disk failed."""


def copy_back(db: Database) -> bool:
    """Copy the whole log into the file and empty it; whether that was done, or another program was in the
    way."""
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except (apsw.BusyError, apsw.LockedError):
        return False
    return True


class Checkpoints:
    """Watches how long the log is and checkpoints beside the writer."""

    def __init__(
        self, file: Path, began_anew: Callable[[], None], is_foreign: Callable[[], bool] = lambda: False
    ) -> None:
        """`began_anew` is called within the commit with which the log begins anew; `is_foreign` tells that
        the log must not be copied into what is there now."""
        self._file = file
        self._is_foreign = is_foreign
        self._began_anew = began_anew
        self._pages = 0
        self._copied = 0
        self._due = Event()
        self._restarted = Event()
        self._retry_at = 0.0
        self._closed = False
        self._db: Database | None = None
        self._post_restart: Callable[[], None] = lambda: None
        self._thread: Thread | None = None

    def start(self, post_restart: Callable[[], None]) -> None:
        """Begin checkpointing. `post_restart` asks the writer to call `restart` between two commits."""
        self._post_restart = post_restart
        self._thread = Thread(target=self._work, name="headwater-checkpoint", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._closed = True
        self._due.set()
        self._restarted.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def all_copied(self) -> bool:
        """Whether nothing of the log is left to copy, as far as is known here: then it may begin anew."""
        return self._copied >= self._pages > 0

    def watch(self, db: Database) -> None:
        """Learn the log's length from each commit of the writer's connection."""
        db.set_wal_hook(self._committed)

    def restart(self, db: Database | None) -> None:
        """Copy the rest and let the log begin anew; on the writer's thread, between two commits."""
        try:
            if db is not None and not self._is_foreign():
                db.set_busy_timeout(RESTART_WAIT_MS)
                _, self._copied = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.Error:
            self._retry_at = monotonic() + RETRY_SECONDS
        finally:
            if db is not None:
                db.set_busy_timeout(BUSY_MS)
            self._restarted.set()

    def _committed(self, _db: Database, _name: str, pages: int) -> int:
        if pages < self._pages:
            self._copied = 0
            self._began_anew()
        self._pages = pages
        if pages - self._copied >= PASSIVE_PAGES and not self._due.is_set():
            self._due.set()
        return apsw.SQLITE_OK

    def _work(self) -> None:
        while not self._closed:
            self._due.wait()
            self._due.clear()
            if not self._closed and monotonic() >= self._retry_at:
                self._round()
        if self._db is not None:
            self._db.close()

    def _round(self) -> None:
        try:
            self._passive()
            if self._pages >= RESTART_PAGES:
                self._approach()
                self._restarted.clear()
                self._post_restart()
                self._restarted.wait()
        except apsw.Error:
            self._retry_at = monotonic() + RETRY_SECONDS  # The commits tell that the disk fails.

    def _approach(self) -> None:
        """Copy until little is left."""
        for _ in range(MAX_ROUNDS):
            if self._pages - self._copied <= RESTART_REST_PAGES:
                return
            self._passive()

    def _passive(self) -> None:
        if self._is_foreign():
            self._retry_at = monotonic() + RETRY_SECONDS
            return
        if self._db is None:
            self._db = connect(self._file)
        _, self._copied = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
