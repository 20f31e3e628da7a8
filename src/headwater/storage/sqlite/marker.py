"""What this machine knows of a file from beside it, in `FILE.marker`: which run wrote the file last, and how
far it came. Owns the format of that record and how it reaches the disk; what follows from it is `runs.py`'s.

The record is one line for the position, rewritten in place with each commit, and one line of JSON for the
rest, which is only ever replaced as a whole. A process that is killed leaves every position it wrote; a power
cut may lose those of the last moment, which makes the record older than the file and never newer.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple, cast

log = logging.getLogger("headwater.storage")

POSITION_DIGITS = 20
"""Of the first line: more than any counter of SQLite has."""


class Record(NamedTuple):
    """What the marker says.

    `runs` are the marks that the file may bear: that of the run which wrote it last, and while another takes
    over, both. `position` counts the commits that the file held at least.
    """

    runs: tuple[str, ...]
    position: int


class Marker:
    """The record beside one file. `keep` and `sync` may be called from two threads, the rest from one."""

    def __init__(self, file: Path) -> None:
        self.path = Path(f"{file}.marker")
        self._descriptor: int | None = None
        self._unsynced = False
        self._failed = False

    def read(self) -> Record | None:
        """What it says, or None where there is none.

        :raises ValueError: it cannot be understood.
        :raises OSError: it cannot be read.
        """
        try:
            position, _, rest = self.path.read_text("ascii").partition("\n")
        except FileNotFoundError:
            return None
        told: Any = json.loads(rest)
        runs = cast("dict[str, Any]", told)["runs"] if isinstance(told, dict) and "runs" in told else None
        if len(position) != POSITION_DIGITS or not position.isdigit() or not isinstance(runs, list):
            raise ValueError("it is no marker")
        return Record(tuple(map(str, cast("list[Any]", runs))), int(position))

    def write(self, record: Record) -> None:
        """Replace the record; it is on the disk when this returns.

        :raises OSError: it cannot be written.
        """
        fresh = Path(f"{self.path}.new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"%s\n%s\n" % (_digits(record.position), _json(record)))
            os.fsync(descriptor)
            fresh.replace(self.path)
            _sync_folder(self.path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        self.close()
        self._descriptor = descriptor

    def keep(self, position: int) -> None:
        """Note how far the file is. What was committed stays so if this fails."""
        if self._descriptor is None:
            return
        try:
            os.pwrite(self._descriptor, _digits(position), 0)
            self._unsynced = True
        except OSError as error:
            self._tell(error)

    def sync(self) -> None:
        """Bring what was noted to the disk, if there is anything."""
        if self._descriptor is None or not self._unsynced:
            return
        self._unsynced = False
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._tell(error)

    def close(self) -> None:
        """Let go of the record, which stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _tell(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            log.warning("%s cannot be kept up to date: %s", self.path, error)


def _digits(position: int) -> bytes:
    return b"%0*d" % (POSITION_DIGITS, position)


def _json(record: Record) -> bytes:
    return json.dumps({"runs": record.runs}).encode("ascii")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
