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


Place = tuple[int, int]
"""Device and inode of a file."""


class Places(NamedTuple):
    """Which files a run uses, and since which start of the machine. They tell what was replaced, never what
    is the same: an inode is given again, and a copy has another."""

    file: Place | None
    log: Place | None
    boot: str


def places_of(file: Path) -> Places:
    """Where a file and its write-ahead log are now."""
    return Places(place_of(file), place_of(f"{file}-wal"), _boot())


def place_of(path: Path | str) -> Place | None:
    """Where a file is; None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (on the path of every commit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


class Marker:
    """The record beside one file. `keep` and `sync` may be called from two threads, the rest from one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.path = Path(f"{file}.marker")
        self._descriptor: int | None = None
        self._unsynced = False
        self._failed = False

    def read(self) -> Record | None:
        """What it says, or None where there is none.

        :raises ValueError: it cannot be understood.
        :raises OSError: it cannot be read.
        """
        told = self._read()
        if told is None:
            return None
        runs = told[1].get("runs")
        if not isinstance(runs, list):
            raise ValueError("it is no marker")
        return Record(tuple(map(str, cast("list[Any]", runs))), told[0])

    def places(self) -> Places | None:
        """The files that the last run used, where it is told and can be understood.

        :raises OSError: it cannot be read.
        """
        try:
            told = self._read()
            file, log, boot = cast("list[Any]", told[1].get("places")) if told else (None, None, "")
            return Places(_place(file), _place(log), str(boot)) if file else None
        except (TypeError, ValueError):
            return None

    def is_of_this_boot(self) -> bool:
        """Whether the machine is known to have run on since the last run began.

        :raises OSError: it cannot be read.
        """
        known, now = self.places(), _boot()
        return known is not None and now != "" and known.boot == now

    def _read(self) -> tuple[int, dict[str, Any]] | None:
        try:
            position, _, rest = self.path.read_text("ascii").partition("\n")
        except FileNotFoundError:
            return None
        told: Any = json.loads(rest)
        if len(position) != POSITION_DIGITS or not position.isdigit() or not isinstance(told, dict):
            raise ValueError("it is no marker")
        return int(position), cast("dict[str, Any]", told)

    def write(self, record: Record) -> None:
        """Replace the record, and note which files are used; it is on the disk when this returns.

        :raises OSError: it cannot be written.
        """
        fresh = Path(f"{self.path}.new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"%b\n%b\n" % (_digits(record.position), self._rest(record)))
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

    def _rest(self, record: Record) -> bytes:
        return json.dumps({"runs": record.runs, "places": places_of(self._file)}).encode("ascii")

    def _tell(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            log.warning("%s cannot be kept up to date: %s", self.path, error)


def _digits(position: int) -> bytes:
    return b"%0*d" % (POSITION_DIGITS, position)


def _place(told: Any) -> Place | None:
    return None if told is None else (int(told[0]), int(told[1]))


def _boot() -> str:
    """Which start of the machine this is; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
