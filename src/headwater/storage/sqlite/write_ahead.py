"""Whose is the write-ahead log that lies beside a file? Owns the proof that the two belong together, and what
becomes of a log that does not: SQLite would replay it into any file of that name.

When the log begins anew, a commit gives the file a new random **link**: `meta.links` then holds the link that
the database file had when the log began, the new one, and the log's salt, by which to know that it was given
in this log. The first is in the file itself, the others come into it when the log is copied back. So the
links as the log gives them name whatever the file itself may hold; the link of a copy made earlier, or of
another file, is not among them. Where a link comes too late, because another program copied the log back or a
kill came first, the links still name what the file holds: the proof may be missing, and a log is never taken
from its file.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import apsw

from headwater.storage.sqlite.database import Database, connect, connect_bare
from headwater.storage.sqlite.marker import Marker, places_of
from headwater.storage.sqlite.schema import meta, put_meta

log = logging.getLogger("headwater.storage")

UNLINKED = ""
"""The link of a file that never got one: it is new, or an earlier version wrote it."""

LOOKS = 3
"""At a file while its log is copied back into it."""

_MODE = slice(18, 20)
"""Of a database's first bytes: how it is written and read. Copies made by VACUUM INTO have no log."""
_WITH_LOG = b"\x02\x02"
_SALT = slice(16, 24)
"""Of a log's first bytes; another each time that it begins anew."""
_ATTEMPTED = slice(128, 132)
"""Of the shared memory's file: how many frames of the log were perhaps copied back into the database file."""
_SHARED_SALT = slice(32, 40)
"""Of the same: the salt of the log that it is about. All are documented at
https://sqlite.org/fileformat2.html and https://sqlite.org/walformat.html."""


class _Links(NamedTuple):
    salt: str
    links: tuple[str, ...]

    def encode(self) -> str:
        return f"{self.salt}:{','.join(self.links)}"


def _decode(text: str | None) -> _Links | None:
    if not text:
        return None
    salt, _, links = text.partition(":")
    return _Links(salt, tuple(links.split(",")))


class Chain:
    """Gives links, on the writer's thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._log = log_of(file)
        self._links: tuple[str, ...] = (UNLINKED,)
        """What the file may hold, oldest first; the last is the newest."""
        self._given: str | None = None
        self._due = self._anew = False

    def begin(self, db: Database, *, emptied: bool) -> None:
        """In the first transaction of a run: give a link after those that the file may hold, which is the
        last alone where the log was `emptied` before."""
        found = _decode(meta(db, "links"))
        if found is not None:
            self._links = found.links[-1:] if emptied else found.links
        self.give(db)

    def began_anew(self) -> None:
        """With the commit under way the log begins anew: the file holds what was the newest link before it.
        The next one is due once the commit is done."""
        self._links = self._links[-1:]
        self._anew = True

    def give(self, db: Database, *, salt: str = "") -> None:
        """In a transaction: give a link, in the log that has this salt."""
        self._given = secrets.token_hex(4)
        put_meta(db, links=_Links(salt, (*self._links, self._given)).encode())

    def give_due(self, db: Database) -> None:
        """In a transaction: give a link, if one is due."""
        if self._due:
            self.give(db, salt=_part(self._log, _SALT).hex())

    def rolled_back(self) -> None:
        """The transaction is not done: the link is none."""
        self._given = None

    def resume(self, db: Database) -> None:
        """Go on with another connection: whether the last transaction was done is known by the file alone."""
        if (found := _decode(meta(db, "links"))) is not None:
            self._links = found.links
        self._given, self._due = None, True

    def is_foreign_to_file(self) -> bool:
        """Whether the file itself, read without its log, holds what it may not: it was overwritten.

        May be asked from any thread. While the log is copied back an answer may be late, so it asks again.
        """
        for _ in range(LOOKS):
            try:
                alone = _decode(_links_without_log(self._file))
            except apsw.Error:
                return False
            if (alone.links[-1] if alone else UNLINKED) in (*self._links, self._given):
                return False
        return True

    def committed(self) -> None:
        """The transaction is done."""
        if self._given is not None:
            self._links, self._given, self._due = (*self._links, self._given), None, False
        if self._anew:
            self._due, self._anew = True, False


def log_of(file: Path) -> Path:
    """Where SQLite keeps a file's write-ahead log."""
    return Path(f"{file}-wal")


def check_log(file: Path, marker: Marker) -> None:
    """Before a file is opened: set a log aside that is not its own.

    :raises OSError: it cannot be moved.
    """
    if not file.exists() or not _part(log_of(file), _SALT):
        return
    known, now = marker.places(), places_of(file)
    if known is not None and known.log == now.log and known.file != now.file:
        _set_aside(file, "the file was replaced by another")
        return
    copied = not _untouched(file) if known == now else True  # Before SQLite looks, which forgets it.
    if (doubt := _foreign(file, copied=copied)) is not None:
        _set_aside(file, doubt)


def _untouched(file: Path) -> bool:
    """Whether the shared memory of a process that was killed says that nothing of its log was copied back."""
    shared = Path(f"{file}-shm")
    attempted = _part(shared, _ATTEMPTED)
    if _part(shared, _SHARED_SALT) != _part(log_of(file), _SALT) or not attempted:
        return False
    return not any(attempted)


def _foreign(file: Path, *, copied: bool) -> str | None:
    """Why a log is not this file's, by what both say. `copied`: some of the log may be in the file already.

    - A file that says nothing by itself, being damaged or half copied back: it is left to SQLite.
    - Together they cannot be read: not its own.
    - The file's link is none of the log's, or the file is of a kind that has no log: not its own.
    - The file holds the newest link, which was given in this very log, of which nothing was copied back: it
      is a copy made since.
    """
    mode = _part(file, _MODE)
    try:
        alone = _decode(_links_without_log(file))
    except apsw.Error:
        return None
    try:
        with_log = _decode(_links_with_log(file))
    except apsw.Error as error:
        return f"together they are damaged ({error})"
    held = alone.links[-1] if alone else UNLINKED
    links = with_log.links if with_log else (UNLINKED,)
    if held not in links or (held != UNLINKED and mode != _WITH_LOG):
        return "it continues another file, or another moment of it"
    given_here = with_log is not None and with_log.salt == _part(log_of(file), _SALT).hex()
    if given_here and held == links[-1] and not copied:
        return "the file is a copy that was made while the log was written"
    return None


def _links_without_log(file: Path) -> str | None:
    address = f"file:{quote(str(file))}?immutable=1"
    with closing(connect_bare(address, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as db:
        return _links(db)


def _links_with_log(file: Path) -> str | None:
    with closing(connect(file)) as db:
        return _links(db)


def _links(db: Database) -> str | None:
    if not db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'").get:
        return None
    found = meta(db, "links")
    return found if isinstance(found, str) else None


def _set_aside(file: Path, doubt: str) -> None:
    aside = Path(f"{log_of(file)}.{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    log_of(file).rename(aside)
    Path(f"{file}-shm").unlink(missing_ok=True)
    log.warning(
        "%s does not belong to %s: %s. It was set aside as %s.", log_of(file), file, doubt, aside.name
    )


def _part(path: Path, part: slice) -> bytes:
    """Some bytes of a file; none where there are not that many."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        found = os.pread(descriptor, part.stop - part.start, part.start)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return found if len(found) == part.stop - part.start else b""
