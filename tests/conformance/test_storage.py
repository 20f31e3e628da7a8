"""Every store passes the published suite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.storage.sqlite import SqliteStore
from headwater.testing.storage import CHECKS, DURABLE_CHECKS, Check, Place


def _name(check: Check) -> str:
    return getattr(check, "__name__", repr(check))


def _opener(kind: str, folder: Path) -> Callable[[], Awaitable[Store]]:
    async def open_memory() -> Store:
        return MemoryStore()

    async def open_sqlite() -> Store:
        synchronous: Literal["full", "normal"] = "normal" if kind == "sqlite-normal" else "full"
        return await SqliteStore.open(folder / "data.db", synchronous=synchronous)

    return open_memory if kind == "memory" else open_sqlite


@pytest.mark.parametrize("check", CHECKS, ids=_name)
@pytest.mark.parametrize("kind", ["memory", "sqlite-full", "sqlite-normal"])
async def test_a_store_keeps_the_contract(check: Check, kind: str, tmp_path: Path) -> None:
    await _run(check, kind, tmp_path)


@pytest.mark.parametrize("check", DURABLE_CHECKS, ids=_name)
@pytest.mark.parametrize("kind", ["sqlite-full", "sqlite-normal"])
async def test_a_durable_store_keeps_what_it_holds(check: Check, kind: str, tmp_path: Path) -> None:
    await _run(check, kind, tmp_path)


async def _run(check: Check, kind: str, folder: Path) -> None:
    place = Place(_opener(kind, folder))
    try:
        await check(place)
    finally:
        await place.close()
