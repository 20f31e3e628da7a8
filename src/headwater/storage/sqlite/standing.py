"""Are the files that a store uses still those at their paths? Owns what is expected there, and the words for
what is not. A removed file goes on being written by whoever has it open, for nobody to find.

SQLite itself removes a log with the last connection that closes; then none is expected until the next commit.
"""

from __future__ import annotations

from pathlib import Path

from headwater.errors import StoreUnavailable
from headwater.storage.sqlite.marker import Place, place_of
from headwater.storage.sqlite.write_ahead import log_of

RESTORE = "To restore a backup: stop the server, put the copy there, start the server."


class Standing:
    """What one store expects to find. Read by two threads, changed by the writer's alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._log_path = str(log_of(file))
        self._is: Place | None = None
        self._log: Place | None = None

    def expect(self) -> None:
        """What is there now is right."""
        self._is, self._log = place_of(self._file), place_of(self._log_path)

    def committed(self) -> None:
        """A commit was made, so there is a log."""
        if self._log is None:
            self._log = place_of(self._log_path)

    def closed(self) -> None:
        """A connection was closed, perhaps the last, and with it the log."""
        if place_of(self._log_path) is None:
            self._log = None

    def file_is_lost(self) -> bool:
        """Whether the database file was removed or replaced."""
        return self._is is not None and place_of(self._file) != self._is

    def log_is_lost(self) -> bool:
        """Whether the write-ahead log was removed or replaced."""
        return self._log is not None and place_of(self._log_path) != self._log

    def fault(self, *, copied: bool, overwritten: bool) -> StoreUnavailable:
        """The error of a store that lost a file; `copied`: the database file holds everything all the
        same."""
        if overwritten and not self.file_is_lost():
            text, hint = f"{self._file} was overwritten while the server used it.", RESTORE
        elif self.file_is_lost():
            text, hint = f"{self._file} was removed or replaced while the server used it.", RESTORE
        else:
            held = "everything acknowledged is" if copied else "the newest commits may not be"
            text = (
                f"{self._log_path} was removed or replaced while the server used it; {held} in {self._file}."
            )
            hint = "Restart the server, and leave that file alone while it runs."
        return StoreUnavailable(text, hint=hint, file=str(self._file))
