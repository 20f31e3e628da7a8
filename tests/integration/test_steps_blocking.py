"""Steps that block: each gets a process for itself, what user code keeps at module level stays whole, and
nobody else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.steps_project import Site, api, serving, stream

HOLD = """
ctx.streams.chat.set("held", req["body"]["id"], {"text": req["body"]["id"]})
while not os.path.exists("gate"):
    time.sleep(0.01)
return {"status": 200, "body": {"pid": os.getpid()}}
"""
"""Holds the loop until the test opens the gate."""

FILES = {
    "steps/chat_stream.py": stream("chat"),
    "steps/hold_step.py": api("/hold", HOLD, top="import os, time"),
    "steps/quick_step.py": api(
        "/quick", "return {'status': 200, 'body': {'pid': os.getpid()}}", top="import os"
    ),
}


class Holding:
    """A site on which invocations hold their loops until `open` is called."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tasks: list[asyncio.Task[Any]] = []

    def hold(self, *names: str, path: str = "/hold") -> list[asyncio.Task[Any]]:
        begun = [asyncio.create_task(self.site.json(path, {"id": name})) for name in names]
        self.tasks += begun
        return begun

    def held(self) -> list[str]:
        """Who holds a loop, in the order in which they began to."""
        return self.site.streams.texts("held")

    async def until(self, count: int) -> None:
        """Wait until that many hold a loop."""
        await self.site.streams.until(lambda: len(self.held()) >= count, 60.0)

    async def known(self) -> None:
        """Let the step be seen blocking, for which one of it blocks on and on."""
        self.hold("first")
        await self.until(1)
        async with asyncio.timeout(20):
            while not self.site.pool.blocking:
                await asyncio.sleep(0.01)

    async def forty(self) -> None:
        """Forty requests that do not block are answered."""
        async with asyncio.timeout(30):
            await asyncio.gather(*(self.site.post("/quick", {}) for _ in range(40)))

    def open(self) -> None:
        (self.site.root / "gate").touch()


@asynccontextmanager
async def holding(root: Path, files: dict[str, str] | None = None, **workers: Any) -> AsyncIterator[Holding]:
    async with serving(root, {**FILES, **(files or {})}, **workers) as site:
        holder = Holding(site)
        try:
            yield holder
        finally:
            holder.open()
            await asyncio.gather(*holder.tasks, return_exceptions=True)


async def test_a_step_seen_blocking_gets_a_process_for_each_invocation_from_then_on(tmp_path: Path) -> None:
    async with holding(tmp_path, size=1, max_size=1) as holder:
        await holder.known()
        assert holder.site.pool.blocking == {"steps/hold_step.py"}
        more = holder.hold(*"abcd")
        await holder.until(5)
        await holder.forty()

        assert not any(task.done() for task in holder.tasks)
        holder.open()
        pids = {answer["pid"] for answer in await asyncio.gather(*more)}
        assert len(pids) == 4
        assert not pids & {worker.pid for worker in holder.site.pool.workers}


async def test_twenty_blockers_at_once_keep_nobody_else(tmp_path: Path) -> None:
    async with holding(tmp_path, size=2) as holder:
        holder.hold(*(f"n{number}" for number in range(20)))
        await holder.until(20)
        await holder.forty()
        assert not any(task.done() for task in holder.tasks)


async def test_forty_requests_spread_over_time_finish_while_first_time_blockers_run(tmp_path: Path) -> None:
    async with holding(tmp_path, size=2) as holder:
        holder.hold(*"abcd")
        for _ in range(40):
            await holder.site.post("/quick", {})
            await asyncio.sleep(0.005)
        await holder.until(4)
        assert not any(task.done() for task in holder.tasks)


async def test_unawaited_sets_take_effect_one_by_one_in_every_process(tmp_path: Path) -> None:
    body = """
    for n in range(20):
        ctx.streams.chat.set(req["body"]["group"], str(n), {"text": n})
        time.sleep(0.05)
    return {"status": 200, "body": {}}
    """
    files = {"steps/say_step.py": api("/say", body, top="import time")}
    async with holding(tmp_path, files, size=2) as holder:
        streams = holder.site.streams
        await asyncio.gather(*(holder.site.post("/say", {"group": str(n)}) for n in range(4)))
        for n in range(4):
            assert streams.texts(str(n)) == list(range(20))
            assert streams.times(str(n))[-1] - streams.times(str(n))[0] > 0.5


@pytest.mark.parametrize("count", [4, 6, 11])
async def test_steps_that_all_block_for_the_first_time_keep_nobody_else(tmp_path: Path, count: int) -> None:
    steps = {f"steps/h{n}_step.py": api(f"/h{n}", HOLD, top="import os, time") for n in range(count)}
    async with holding(tmp_path, steps, size=2) as holder:
        for n in range(count):
            holder.hold(f"h{n}", path=f"/h{n}")
        await holder.forty()
        await holder.until(count)
        await holder.forty()
        assert not any(task.done() for task in holder.tasks)


async def test_more_blockers_than_the_limit_wait_and_nothing_else_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with holding(tmp_path, size=1, max_size=1, max_blocking=3) as holder:
        await holder.known()
        holder.hold(*"abcdef")
        await holder.until(3)
        await holder.forty()

        assert len(holder.held()) == 3
        assert holder.site.ear.of("limited") == [("workers.max_blocking", 3)]
        assert [file for file, _ in holder.site.ear.of("blocked")] == ["steps/hold_step.py"]
        assert len(holder.site.pool.apart) == 2, "the first one counts as well, where it stands"
        lines = [line.message for line in caplog.records if "waits for one" in line.message]
        assert lines == [
            "All 3 processes for steps that block are busy; steps/hold_step.py waits for one, "
            "nothing else does"
        ]
        holder.open()
        await asyncio.gather(*holder.tasks)
        assert len(holder.held()) == 7


async def test_a_blocker_whose_caller_is_gone_stops_waiting(tmp_path: Path) -> None:
    async with holding(tmp_path, size=1, max_size=1, max_blocking=1) as holder:
        await holder.known()
        (gone, _) = holder.hold("gone", "stays")
        await holder.forty()
        gone.cancel()
        await asyncio.wait([gone])
        holder.open()
        await holder.tasks[-1]
        assert "gone" not in holder.held()


async def test_a_process_that_dies_with_its_blocker_is_replaced(tmp_path: Path) -> None:
    body = "time.sleep(0.3)\nif req['body']['id'] == 'dies': os._exit(3)\nreturn {'status': 200}"
    files = {"steps/die_step.py": api("/die", body, top="import os, time")}
    async with holding(tmp_path, files, size=1, max_size=1, max_blocking=1) as holder:
        await holder.site.post("/die", {"id": "lives"})
        assert holder.site.pool.blocking == {"steps/die_step.py"}
        with pytest.raises(Exception, match="exit code 3"):
            await holder.site.post("/die", {"id": "dies"})
        assert (await holder.site.post("/die", {"id": "lives"})).status == 200


SHARED = """
import asyncio

class Connection:
    async def ask(self, question):
        await self.inbox.put(question)
        return await self.answers.get()

    async def serve(self):
        self.inbox, self.answers = asyncio.Queue(), asyncio.Queue()
        while True:
            await self.answers.put(await self.inbox.get())

class Pool:
    # Two connections for everybody, made when they are first used, as clients of databases do it.
    def __init__(self):
        self.free = asyncio.Queue()
        self.opened = False

    async def ask(self, question):
        if not self.opened:
            self.opened = True
            for connection in (Connection(), Connection()):
                connection.task = asyncio.create_task(connection.serve())
                await asyncio.sleep(0)
                await self.free.put(connection)
        connection = await self.free.get()
        try:
            return await connection.ask(question)
        finally:
            await self.free.put(connection)

pool = Pool()
"""


async def test_a_pool_that_two_steps_share_is_whole_when_one_of_them_blocks(tmp_path: Path) -> None:
    ask = "return {'status': 200, 'body': await shared.pool.ask(req['body']['n'])}"
    files = {
        "steps/shared.py": SHARED,
        "steps/ask_step.py": api("/ask", ask, top="import shared"),
        "steps/slow_step.py": api("/slow", f"time.sleep(0.15)\n{ask}", top="import shared, time"),
    }
    async with holding(tmp_path, files, size=2) as holder:
        site = holder.site
        async with asyncio.timeout(60):
            answers = await asyncio.gather(
                *(site.json("/slow" if n % 6 == 0 else "/ask", {"n": n}) for n in range(120))
            )
        assert answers == list(range(120))
        assert "steps/slow_step.py" in site.pool.blocking
