"""Files of older versions are brought up to date, whole or not at all; newer ones are refused."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from headwater.errors import StoreUnavailable
from headwater.model import GroupKey, Head, Item, Tombstone, Unit, Write
from headwater.storage.base import Committed, Due, Repeated
from headwater.storage.sqlite import SqliteStore, schema

G = GroupKey("room", "general")


async def make(file: Path) -> None:
    store = await SqliteStore.open(file)
    await store.commit([Write(G, "a", "set", b"1")], stamp=1000.0)
    await store.close()


def ask(file: Path, sql: str) -> object:
    db = apsw.Connection(str(file))
    try:
        return db.execute(sql).get
    finally:
        db.close()


async def holds(file: Path) -> bytes:
    store = await SqliteStore.open(file)
    item = await store.get(G, "a")
    await store.close()
    assert item is not None
    return item.data


async def test_a_file_is_marked_as_ours_with_its_schema(tmp_path: Path) -> None:
    await make(tmp_path / "data.db")
    assert ask(tmp_path / "data.db", "PRAGMA application_id") == schema.APPLICATION_ID
    assert ask(tmp_path / "data.db", "PRAGMA user_version") == len(schema.MIGRATIONS)
    assert ask(tmp_path / "data.db", "PRAGMA journal_mode") == "wal"


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    await make(file)
    ask(file, "PRAGMA user_version=99")
    with pytest.raises(StoreUnavailable) as caught:
        await SqliteStore.open(file)
    assert "schema 99" in caught.value.message
    assert str(file) in caught.value.message
    assert "newer" in caught.value.hint
    ask(file, f"PRAGMA user_version={len(schema.MIGRATIONS)}")
    assert await holds(file) == b"1"


async def test_the_first_schema_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.db"
    db = apsw.Connection(str(file))
    db.execute("PRAGMA journal_mode=wal").fetchall()
    db.execute(schema.MIGRATIONS[0])
    db.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version=1")
    db.execute(
        "INSERT INTO groups VALUES (1, 'room', 'general', 1, 0, 1, 1, 0);"
        "INSERT INTO items (gid, created, version, id, data) VALUES (1, 1, 1, 'a', x'31');"
        "INSERT INTO log VALUES (1, 1, 1, 1, 0, 1, 1000.0);"
        "UPDATE meta SET value = 'an epoch' WHERE name = 'epoch';"
        "UPDATE meta SET value = 1 WHERE name = 'settled';"
    )
    db.close()
    store = await SqliteStore.open(file)
    assert (store.epoch, store.stamp) == ("an epoch", 1000.0)
    await store.close()
    assert await holds(file) == b"1"
    assert ask(file, "PRAGMA user_version") == len(schema.MIGRATIONS)


async def test_a_file_of_the_second_schema_that_was_not_closed_is_brought_up_to_date(tmp_path: Path) -> None:
    """Rows of groups that lag, tombstones, times and keys, as the version before units left them."""
    file = tmp_path / "data.db"
    db = apsw.Connection(str(file))
    db.execute("PRAGMA journal_mode=wal").fetchall()
    for script in schema.MIGRATIONS[:2]:
        db.execute(script)
    db.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    db.execute("PRAGMA user_version=2")
    db.execute(
        "INSERT INTO groups VALUES (1, 'room', 'general', 1, 0, 1, 1, 0);"
        "INSERT INTO items VALUES (1, 1, 2, 'a', x'31', 1500.0);"
        "INSERT INTO log VALUES (1, 1, 1, 1, 0, 1, 1000.0), (2, 1, 2, 1, 1, 0, 2000.0),"
        " (3, 1, 3, 3, 2, 1, 3000.0), (4, 1, 4, 3, 3, 2, 4000.0);"
        "INSERT INTO deletes VALUES (4, 1, 4, 'b', 0, 4000.0);"
        "INSERT INTO keys VALUES (1, 'k', 2000.0, 'a', 'update', 2, 1, x'31');"
        "UPDATE meta SET value = 'an epoch' WHERE name = 'epoch';"
        "UPDATE meta SET value = 'full' WHERE name = 'running';"
        "UPDATE meta SET value = 7 WHERE name = 'base';"
        "UPDATE meta SET value = 1 WHERE name = 'settled';"
    )
    db.close()
    store = await SqliteStore.open(file)
    assert (store.epoch, store.stamp) == ("an epoch", 4000.0)
    page = await store.read(G, after=1, limit_bytes=1000)
    assert (page.head, page.items) == (Head(4, 0), [Item("a", b"1", 2, 1)])
    assert page.tombstones == [Tombstone("b", 4)]
    assert await store.due(now=1500.0) == [Due(G, "a", 2)]
    assert await store.heads([GroupKey("room", "new"), GroupKey("work", "new")]) == [Head(7, 7)] * 2
    (again,) = await store.commit([Write(G, "x", "set", b"2", key="k")], stamp=5000.0)
    assert isinstance(again, Repeated)
    work = Write(GroupKey("work", "new"), "j", "set", b"3", history=False, outbox=b"")
    outcomes = await store.commit([Unit([work, Write(G, "a", "set", b"3")], key="k")], stamp=6000.0)
    assert isinstance(outcomes[0], Committed)
    assert [change and change.version for change in outcomes[0].changes] == [8, 5]
    assert [entry.version for entry in await store.outbox()] == [8]
    await store.close()
    assert ask(file, "PRAGMA integrity_check") == "ok"
    assert ask(file, "PRAGMA user_version") == len(schema.MIGRATIONS)


async def test_a_migration_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.db"
    await make(file)
    more = (*schema.MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO extra VALUES (1);")
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    for _ in range(2):
        assert await holds(file) == b"1"
        assert ask(file, "SELECT count(*) FROM extra") == 1
    assert ask(file, "PRAGMA user_version") == len(more)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.db"
    await make(file)
    with monkeypatch.context() as patch:
        broken = (*schema.MIGRATIONS, "CREATE TABLE extra (x);", "INSERT INTO nowhere VALUES (1);")
        patch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(StoreUnavailable) as caught:
            await SqliteStore.open(file)
        assert str(file) in caught.value.message
    assert ask(file, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") == 0
    assert await holds(file) == b"1"
