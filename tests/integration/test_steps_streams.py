"""Steps on a real store: what user code writes is committed as it is made, and told to whoever listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from headwater.clock import Stamps, SystemClock
from headwater.config import Settings
from headwater.errors import TooLarge
from headwater.model import Change
from headwater.steps.runtime import StepRuntime
from headwater.steps.services.streams import stream_service
from headwater.storage.open import open_store
from headwater.streams.catalog import Catalog
from headwater.streams.commits import CommitQueue, Published
from headwater.streams.writer import Writer
from support.steps_project import api, request, write

STREAM = """
config = {
    "name": "chat",
    "schema": {
        "type": "object",
        "properties": {"text": {"type": ["string", "integer"]}},
        "required": ["text"],
    },
    "baseConfig": {"storageType": "default"},
}
"""


class Live:
    """A runtime on a real store, and the changes that were published, with the times."""

    def __init__(self, settings: Settings, store: Any) -> None:
        self.changes: list[tuple[float, Change]] = []
        self.queue = CommitQueue(
            store,
            Stamps(SystemClock(), store.stamp),
            self._publish,
            max_pending_bytes=settings.storage.max_pending_bytes,
        )
        self.catalog = Catalog()
        self.writer = Writer(self.catalog, store, self.queue, max_item_bytes=settings.storage.max_item_bytes)
        self.runtime = StepRuntime(settings)
        self.runtime.offer("streams", stream_service(self.writer))
        self.runtime.on_project(lambda project: self.catalog.declare(project.streams))
        self.changed = asyncio.Event()

    def _publish(self, published: Sequence[Published]) -> None:
        now = time.monotonic()
        self.changes += [(now, one) for one in published if isinstance(one, Change)]
        self.changed.set()

    def of(self, group: str) -> list[Change]:
        return [change for _, change in self.changes if change.group.group == group]

    async def until(self, count: int, group: str) -> None:
        async with asyncio.timeout(60):
            while len(self.of(group)) < count:
                self.changed.clear()
                await self.changed.wait()

    async def run(self, path: str, sent: Any) -> Any:
        step = next(step for step in self.runtime.project.routes if step.path == path)
        return await self.runtime.run_api(step, request(step, sent))


@asynccontextmanager
async def living(root: Path, files: dict[str, str], **storage: Any) -> AsyncIterator[Live]:
    write(root, {"steps/chat_stream.py": STREAM, **files})
    settings = Settings(project=root)
    settings = replace(settings, storage=replace(settings.storage, **storage))
    store = await open_store(settings)
    live = Live(settings, store)
    try:
        await live.runtime.start()
        yield live
    finally:
        await live.runtime.close()
        await live.queue.close()
        await store.close()


async def test_a_blocking_handler_publishes_each_set_as_it_is_made(tmp_path: Path) -> None:
    body = """
    for n in range(20):
        ctx.streams.chat.set("g", "m", {"text": n})
        time.sleep(0.05)
    return {"status": 200, "body": {}}
    """
    async with living(tmp_path, {"steps/a_step.py": api("/a", body, top="import time")}) as live:
        running = asyncio.create_task(live.run("/a", {}))
        await live.until(5, "g")
        assert not running.done()
        assert len(live.of("g")) < 20
        await running
        changes = live.of("g")
        assert [orjson.loads(change.data)["text"] for change in changes] == list(range(20))
        assert [change.version for change in changes] == list(range(1, 21))
        times = [at for at, _ in live.changes]
        assert times[-1] - times[0] > 0.5
        assert {change.origin.step for change in changes} == {"a"}


async def test_the_header_of_an_item_names_its_committed_version(tmp_path: Path) -> None:
    body = """
    await ctx.streams.chat.set("g", "m", {"text": "one"})
    item = await ctx.streams.chat.set("g", "m", {"text": "two"})
    return {"status": 200, "body": item}
    """
    async with living(tmp_path, {"steps/a_step.py": api("/a", body)}) as live:
        response = await live.run("/a", {})
    assert dict(response.headers)["x-headwater-items"] == "chat/g/m@2"
    assert orjson.loads(response.body) == {"text": "two", "id": "m"}


async def test_a_write_that_breaks_the_schema_raises_in_user_code_and_names_the_field(tmp_path: Path) -> None:
    body = """
    try:
        await ctx.streams.chat.set("g", "m", {"words": "one"})
    except SchemaMismatch as error:
        return {"status": 200, "body": {"faults": error.details["faults"]}}
    """
    top = "from headwater.errors import SchemaMismatch"
    async with living(tmp_path, {"steps/a_step.py": api("/a", body, top=top)}) as live:
        response = await live.run("/a", {})
    assert [fault["field"] for fault in orjson.loads(response.body)["faults"]] == ["text"]


async def test_two_concurrent_sets_of_a_new_id_are_one_create_and_one_update(tmp_path: Path) -> None:
    body = """
    await ctx.streams.chat.set("g", "m", {"text": req["body"]["n"]})
    return {"status": 200, "body": {}}
    """
    async with living(tmp_path, {"steps/a_step.py": api("/a", body)}) as live:
        await asyncio.gather(*(live.run("/a", {"n": n}) for n in range(2)))
        assert [change.kind for change in live.of("g")] == ["create", "update"]


async def test_twenty_megabytes_are_stored_and_above_the_limit_the_error_says_so(tmp_path: Path) -> None:
    body = """
    item = await ctx.streams.chat.set("g", "m", {"text": req["body"]["text"]})
    return {"status": 200, "body": {"length": len(item["text"])}}
    """
    async with living(tmp_path, {"steps/a_step.py": api("/a", body)}, max_item_bytes=21_000_000) as live:
        response = await live.run("/a", {"text": "x" * 20_000_000})
        assert orjson.loads(response.body) == {"length": 20_000_000}
        with pytest.raises(TooLarge, match="the limit is 21000000") as caught:
            await live.run("/a", {"text": "x" * 21_000_000})
        assert caught.value.status == 413


async def test_writes_on_terms_count_right_however_they_collide(tmp_path: Path) -> None:
    """Each conflict carries the version that the item has, with which the next attempt is made."""
    body = """
    known = await ctx.streams.chat.get("g", "m")
    version, seen = (known.version, known["text"]) if known else (0, 0)
    conflicts = 0
    while True:
        try:
            item = await ctx.streams.chat.set("g", "m", {"text": seen + 1}, if_version=version)
            return {"status": 200, "body": {"version": item.version, "conflicts": conflicts}}
        except Conflict as error:
            conflicts += 1
            version = error.details["version"]
            seen = version  # Each version counts one further.
    """
    top = "from headwater.errors import Conflict"
    async with living(tmp_path, {"steps/a_step.py": api("/a", body, top=top)}) as live:
        answers = await asyncio.gather(*(live.run("/a", {}) for _ in range(20)))
        told = [orjson.loads(answer.body) for answer in answers]
        counted = [orjson.loads(change.data)["text"] for change in live.of("g")]

    assert counted == list(range(1, 21))
    assert sorted(one["version"] for one in told) == counted
    assert sum(one["conflicts"] for one in told) > 0


async def test_a_repeated_write_is_done_once_and_answered_as_the_first(tmp_path: Path) -> None:
    body = """
    item = await ctx.streams.chat.update(
        "g", "m", [{"type": "increment", "path": "text", "by": 1}], key=req["body"]["key"]
    )
    return {"status": 200, "body": {"text": item["text"], "version": item.version}}
    """
    async with living(tmp_path, {"steps/a_step.py": api("/a", body)}) as live:
        first = await live.run("/a", {"key": "k"})
        other = await live.run("/a", {"key": "l"})
        again = await asyncio.gather(*(live.run("/a", {"key": "k"}) for _ in range(5)))

    assert orjson.loads(first.body) == {"text": 1, "version": 1}
    assert orjson.loads(other.body) == {"text": 2, "version": 2}
    assert {answer.body for answer in again} == {first.body}
    assert len(live.of("g")) == 2
