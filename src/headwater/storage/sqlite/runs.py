"""Whether history goes on: when a file is opened, is it the one that was written here last? Owns the marks of
a run in the file, the order in which they and the marker beside it change, and what begins a new epoch.

Each run, and each clean end, gives the file a new random mark, which the marker names too. So a copy of the
file made at any other time bears another mark, or, made during the run that wrote last, holds fewer commits
than the marker says. A killed process leaves a file that bears the mark and holds at least as much.

The marks change so that no moment of a kill or a power cut breaks a history that goes on: the marker names
the old and the new mark before the file gets the new one, and only the new one before anything is committed.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from headwater.storage.sqlite.checkpoint import copy_back
from headwater.storage.sqlite.database import Database, transaction
from headwater.storage.sqlite.marker import Marker, Record
from headwater.storage.sqlite.schema import meta, position_of, put_meta
from headwater.storage.sqlite.write_ahead import Chain

log = logging.getLogger("headwater.storage")

UNMARKED = ""
"""The mark of a file that no run marked yet: it is new, or an earlier version wrote it."""


class _Found(NamedTuple):
    """What a file says when it is opened."""

    epoch: str
    run: str
    position: int
    unclean: str | None
    """How the process synced it that did not end cleanly; None after a clean end."""


def begin_run(
    db: Database, file: Path, marker: Marker, chain: Chain, synchronous: str, *, new_epoch: bool
) -> str:
    """Mark the file as in use, and answer its epoch: the one it has if it is proven that history goes on.

    :raises OSError: the marker cannot be read or written.
    """
    emptied = copy_back(db)
    found = _look(db)
    doubt = "it was asked for (--new-epoch)" if new_epoch else _doubt(found, marker)
    epoch, run = found.epoch, secrets.token_hex(8)
    if epoch and doubt is None:
        marker.write(Record((found.run, run), found.position))
    else:
        if epoch:
            _tell(file, doubt)
        epoch = secrets.token_hex(8)
    _mark(db, epoch, run, synchronous, partial(chain.begin, db, emptied=emptied))
    chain.committed()
    db.execute(f"PRAGMA synchronous={synchronous}")
    if copy_back(db):
        _begin_log(db, chain)
    marker.write(Record((run,), found.position))
    return epoch


def _begin_log(db: Database, chain: Chain) -> None:
    """Write into an empty log, which gives it its salt, and then the link that names it."""
    chain.began_anew()
    for give in (chain.give, chain.give_due):
        with transaction(db):
            give(db)
        chain.committed()


def end_run(db: Database, marker: Marker) -> None:
    """Mark the file as cleanly closed, once all before it is on the disk.

    :raises OSError: the marker cannot be written.
    """
    found, closed = _look(db), secrets.token_hex(8)
    marker.write(Record((found.run, closed), found.position))
    _mark(db, found.epoch, closed, None)
    marker.write(Record((closed,), found.position))


def _look(db: Database) -> _Found:
    return _Found(meta(db, "epoch"), meta(db, "run") or UNMARKED, position_of(db), meta(db, "running"))


def _doubt(found: _Found, marker: Marker) -> str | None:
    """Why it is not proven that the file is what was written here last; None: it is.

    A file without a mark and without a marker beside it was left by an earlier version, which is believed.
    What a killed process wrote unsynced is in the system's memory, and so in the file, until the machine
    starts anew.
    """
    if found.unclean == "normal" and not marker.is_of_this_boot():
        return "the machine lost its power, or was left in a hurry, with [storage] synchronous = normal"
    try:
        record = marker.read()
    except ValueError:
        return f"{marker.path} is damaged"
    if record is None:
        return None if found.run == UNMARKED else f"{marker.path} is missing: the file was copied here"
    if found.run not in record.runs:
        return "it is not the file that was written here last, but an older one or one from elsewhere"
    if found.position < record.position:
        return f"it lacks the last {record.position - found.position} commits that were made here"
    return None


def _tell(file: Path, doubt: str | None) -> None:
    text = "%s begins a new epoch: %s. Clients load anew what they follow."
    log.warning(text, file, doubt)


def _mark(
    db: Database, epoch: str, run: str, running: str | None, link: Callable[[], None] = lambda: None
) -> None:
    """Marks must not be lost, nor overtake what they speak of, so they are always synced."""
    db.execute("PRAGMA synchronous=full")
    with transaction(db):
        put_meta(db, epoch=epoch, run=run, running=running)
        link()
