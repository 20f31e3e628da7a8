"""What SQLite's errors mean to whoever runs the server. Owns the mapping and its words; opens nothing."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from headwater.errors import StoreCorrupt, StoreFull, StoreReadOnly, StoreUnavailable

_FREE_BYTES_OF_A_FULL_DISK = 64 * 1024
"""SQLite reports a failed growth of its shared-memory file as an I/O error; this little space tells why."""


def translate(error: Exception, file: Path) -> StoreUnavailable:
    """The error of the store's tree that says what went wrong with the file, and what to do."""
    told = f"{error} ({type(error).__name__})"
    if isinstance(error, apsw.FullError) or (_is_io(error) and _disk_is_full(file)):
        return StoreFull(
            f"The disk under {file} is full; nothing of this batch was kept.",
            hint="Free some space; the store goes on by itself.",
            file=str(file),
        )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return StoreCorrupt(
            f"{file} is damaged or is no SQLite database: {told}.",
            hint="Stop the server. Then put a backup in the file's place, or move it away and start empty.",
            file=str(file),
        )
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, PermissionError)) or _is_read_only(file):
        return StoreReadOnly(
            f"{file} cannot be written: {told}.",
            hint="Let the server's user write the file and its folder, or give another [storage] url.",
            file=str(file),
        )
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return StoreUnavailable(
            f"{file} is locked by another program.",
            hint="Close other tools that have the file open; the store goes on by itself.",
            file=str(file),
        )
    return StoreUnavailable(
        f"{file} cannot be used: {told}.",
        hint="Check the disk and the folder of the file.",
        file=str(file),
    )


def _is_io(error: Exception) -> bool:
    return isinstance(error, (apsw.IOError, apsw.CantOpenError, OSError))


def _disk_is_full(file: Path) -> bool:
    try:
        disk = os.statvfs(file.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _FREE_BYTES_OF_A_FULL_DISK


def _is_read_only(file: Path) -> bool:
    """Whether the file, or the folder where it would be made, refuses writes."""
    there = file
    while not there.exists() and there != there.parent:
        there = there.parent
    return not os.access(there, os.W_OK)
