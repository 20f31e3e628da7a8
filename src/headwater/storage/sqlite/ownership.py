"""One process owns one file. Owns the lock beside it, `FILE.lock`, which names the holder's process id.

SQLite's own locks let two processes share a file; Headwater's versions and feeds must not be shared that way.
The operating system frees the lock when its holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from headwater.errors import StoreUnavailable
from headwater.storage.sqlite.errors import translate


class Ownership:
    """The exclusive right to use a file, held from the making of this object until `release`."""

    def __init__(self, file: Path) -> None:
        """Take the lock.

        :raises StoreUnavailable: another process, or another store of this one, holds it.
        :raises StoreReadOnly: the folder cannot be written.
        """
        lock = Path(f"{file}.lock")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise translate(error, file) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._holder()
            os.close(self._descriptor)
            raise _held(file, holder) from error
        self._sign()

    def release(self) -> None:
        """Give the file up. The lock file stays: removing it could take it from the next holder."""
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


def _held(file: Path, holder: str) -> StoreUnavailable:
    by = f"process {holder}" if holder else "another process"
    return StoreUnavailable(
        f"{file} is in use by {by}.",
        hint="Stop the other server first, or give this one a file of its own: another [storage] url, and of "
        "the same project --set server.control=off.",
        file=str(file),
        **({"pid": int(holder)} if holder.isdigit() else {}),
    )
