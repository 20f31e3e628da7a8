"""Many rows go through few statements, in order, whatever their number."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.storage.sqlite.bulk import MAX_ROWS, STRIDE, Bulk, read_numbers, write_rows
from headwater.storage.sqlite.database import Database, connect

INSERT = Bulk("INSERT INTO numbers (position, number)", 2)
ECHO = Bulk("SELECT group_concat(column1 * 2) FROM (", 1, ")")


class Counting:
    """A connection that counts what it is asked to do."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.count = 0

    def execute(self, statements: str, bindings: object = None) -> object:
        self.count += 1
        return self.db.execute(statements, bindings)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def db(tmp_path: Path) -> Database:
    made = connect(tmp_path / "numbers.db", create=True)
    made.execute("CREATE TABLE numbers (position INTEGER PRIMARY KEY AUTOINCREMENT, number)")
    return made


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 63, 64, 255, 256, 257, 1000, 1024])
def test_every_row_is_written_and_read_once_in_order(db: Database, count: int) -> None:
    write_rows(db, INSERT, [(None, number) for number in range(count)])
    written = db.execute("SELECT number FROM numbers ORDER BY position").fetchall()
    assert [number for (number,) in written] == list(range(count))
    doubled = read_numbers(db, ECHO, [(number,) for number in range(count)])
    assert doubled == [2 * number for number in range(count)]
    db.close()


@pytest.mark.parametrize("count", [1, STRIDE - 1, STRIDE, 63, MAX_ROWS - 1, MAX_ROWS])
def test_two_statements_are_enough_for_a_usual_batch(db: Database, count: int) -> None:
    counting = Counting(db)
    write_rows(counting, INSERT, [(None, number) for number in range(count)])  # pyright: ignore[reportArgumentType]
    assert counting.count <= 2
    db.close()
