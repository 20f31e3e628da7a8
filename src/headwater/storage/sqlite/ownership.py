"""One process owns one file, and nobody else reads it. Owns the lock beside it, `FILE.lock`, which names the
holder's process id, the lock on the file itself, and who may open the files.

SQLite's own locks let two processes share a file; Headwater's versions and feeds must not be shared that way.
The operating system frees the locks when their holder ends, however it ends.

- The lock beside the file holds where the file is replaced. It lies beside the real file, whatever links led
  there.
- The lock on the file, on a byte that SQLite does not use, holds where the lock beside it was removed. It
  belongs to an open file and not to a process, which Linux alone has: other locks end when any part of the
  process closes the file.
- A file of several names is refused: SQLite finds its write-ahead log by the name.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from pathlib import Path

from headwater.errors import StoreUnavailable
from headwater.storage.sqlite.errors import translate

log = logging.getLogger("headwater.storage")

FOLDER_MODE, FILE_MODE = 0o700, 0o600
OWN_FOLDER = ".headwater"
"""A folder of this name is the server's own; another one may be shared, and keeps its mode."""

SUFFIXES = ("", "-wal", "-shm", ".lock", ".marker")
"""Of the files that a store consists of. SQLite gives new ones the mode of the first."""

_CLAIM = 1 << 62
"""The byte that is locked: far behind any that a database file has."""


class Ownership:
    """The exclusive right to use a file, held from the making of this object until `release`."""

    def __init__(self, file: Path) -> None:
        """Take the locks, making the folder and an empty file where there are none. `file` is a real path.

        :raises StoreUnavailable: another process, or another store of this one, holds it, or it has other
            names.
        :raises StoreReadOnly: the folder or the file cannot be written.
        """
        lock = Path(f"{file}.lock")
        try:
            _make_folder(file.parent)
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise translate(error, file) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder()
            os.close(self._descriptor)
            raise _held(file, holder) from error
        try:
            self._file = _claim(file)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._sign()
        for suffix in SUFFIXES:
            make_private(Path(f"{file}{suffix}"), FILE_MODE)

    def release(self) -> None:
        """Give the file up, once SQLite has closed it: a close ends all of the process's locks on it. The
        lock file stays: removing it could take it from the next holder."""
        os.close(self._file)
        os.close(self._descriptor)

    def _sign(self) -> None:
        """Leave the process id for whoever finds the lock taken. On a full disk the lock holds without it."""
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return

    def _holder(self) -> str:
        return os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()


def real_path(file: Path) -> Path:
    """Where a file really is, so that all who name it lock the same."""
    return Path(os.path.realpath(file))


def make_private(path: Path, mode: int) -> None:
    """Take from everybody but its owner the right to open what is there."""
    try:
        if path.stat().st_mode & 0o777 & ~mode:
            path.chmod(mode)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s stays open to others: %s", path, error)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    if folder.name == OWN_FOLDER:
        make_private(folder, FOLDER_MODE)


def _claim(file: Path) -> int:
    """The file, open and locked."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise translate(error, file) from error
    try:
        _lock(descriptor, file)
        if (names := os.fstat(descriptor).st_nlink) > 1:
            raise StoreUnavailable(
                f"{file} has {names} names (hard links), and its write-ahead log would go by one of them.",
                hint="Make a real copy under one name, or remove the other names.",
                file=str(file),
            )
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, file: Path) -> None:
    command = getattr(fcntl, "F_OFD_SETLK", None)
    if command is None or struct.calcsize("P") != 8:
        return
    wanted = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _CLAIM, 1, 0)
    try:
        fcntl.fcntl(descriptor, command, wanted)
    except (BlockingIOError, PermissionError) as error:
        raise _held(file, "") from error
    except OSError as error:  # A file system without such locks; the one beside the file holds.
        log.debug("%s cannot be locked itself: %s", file, error)


def _held(file: Path, holder: str) -> StoreUnavailable:
    by = f"process {holder}" if holder else "another process"
    return StoreUnavailable(
        f"{file} is in use by {by}.",
        hint="Stop the other server first, or give this one another [storage] url.",
        file=str(file),
        **({"pid": int(holder)} if holder.isdigit() else {}),
    )
