"""Statements over many rows in few steps. Owns how they are cut and cached; knows no table.

Each step of a statement hands the interpreter's lock over and has to get it back, which takes up to a switch
interval when the event loop is busy: a batch of sixty writes in a few hundred steps would then take a second.
So what a batch reads and writes goes through one statement with many rows. Lists are cut so that two
statements are enough for most, and that there are few different ones to prepare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from headwater.storage.sqlite.database import Database

MAX_ROWS = 256
"""Rows of one statement; with up to 8 values each they stay far below SQLite's 32,766 variables."""
STRIDE = 16
"""So there are 31 lengths of a statement: 1 to 15 rows, and each multiple up to MAX_ROWS."""

Row = tuple[Any, ...]


class Bulk(NamedTuple):
    """A statement with a list of rows in it: the SQL around the list, and how many values make a row."""

    before: str
    values: int
    after: str = ""


def write_rows(db: Database, bulk: Bulk, rows: Sequence[Row]) -> None:
    """Run a statement that answers nothing for all rows, in order."""
    for some in _cut(rows):
        db.execute(_sql(bulk, len(some)), list(chain.from_iterable(some)))


def read_numbers(db: Database, bulk: Bulk, rows: Sequence[Row]) -> list[int]:
    """Run a statement that answers one text of numbers with commas, one for each row in order."""
    numbers: list[int] = []
    for some in _cut(rows):
        answer = db.execute(_sql(bulk, len(some)), list(chain.from_iterable(some))).get
        numbers += map(int, str(answer).split(","))
    return numbers


def _cut(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Stretches whose lengths are multiples of STRIDE, then the rest."""
    start = 0
    while rest := len(rows) - start:
        size = rest if rest < STRIDE else min(rest - rest % STRIDE, MAX_ROWS)
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=256)
def _sql(bulk: Bulk, rows: int) -> str:
    row = f"({','.join('?' * bulk.values)})"
    return f"{bulk.before} VALUES {','.join([row] * rows)} {bulk.after}"
