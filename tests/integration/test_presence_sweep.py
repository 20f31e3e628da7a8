"""What presences leave behind in memory goes, as deletes of streams that last do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headwater import lifetime
from headwater.config import ServerSettings, Settings, StorageSettings
from headwater.model import GroupKey
from headwater.streams.catalog import StreamRules

SISTER = GroupKey("chat.presence", "room")


async def test_a_presence_that_left_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "SWEEP_SECONDS", 0.01)
    settings = Settings(
        project=tmp_path,
        server=ServerSettings(port=0),
        storage=StorageSettings(url="memory:", tombstone_age=0),
    )
    async with lifetime.running(settings) as server:
        server.catalog.declare([StreamRules(name="chat", presence=True)])
        there = server.presence.enter(GroupKey("chat", "room"), {})
        server.presence.leave(GroupKey("chat", "room"), there)
        store = server.realms.fleeting.store
        async with asyncio.timeout(60):
            while (await store.heads([SISTER]))[0].floor < 2:
                await asyncio.sleep(0.01)
