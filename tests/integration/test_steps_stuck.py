"""One handler must not stop the others: what goes on after its time, what answers nothing, what keeps
dying."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from headwater.config import Settings
from headwater.errors import HeadwaterError, StepCrashes, TimedOut, WorkerLost
from integration.test_steps_pool import BLOCKERS, CHAT, QUICK, full, lives, until
from support.steps_project import Site, api, serving


def plain(path: str, body: str, top: str = "") -> str:
    """The source of an API step with a plain handler."""
    return api(path, body, top=top).replace("async def handler", "def handler")


FOREVER = plain(
    "/forever",
    "ctx.streams.chat.set('f', 'f', {'text': os.getpid()})\nthreading.Event().wait()",
    top="import os, threading",
)
PLAIN_QUICK = plain("/plain", "return {'status': 200, 'body': {'pid': os.getpid()}}", top="import os")
SPIN = plain(
    "/spin", "ctx.streams.chat.set('s', 's', {'text': os.getpid()})\nwhile True: pass", top="import os"
)


def limited(root: Path, seconds: float) -> Settings:
    """Settings with so short a time limit for requests."""
    settings = Settings(project=root)
    return replace(settings, server=replace(settings.server, request_timeout=seconds))


def its_time_is_over(site: Site, file: str) -> None:
    """Let what runs of a file have no time left once it is cancelled."""
    for worker in site.pool.workers:
        for invocation in worker.running.values():
            if invocation.file == file:
                invocation.limit = 0.0


async def test_plain_handlers_that_wait_for_ever_leave_room_for_others(tmp_path: Path) -> None:
    steps = {**CHAT, "steps/forever_step.py": FOREVER, "steps/plain_step.py": PLAIN_QUICK}
    async with serving(tmp_path, steps, size=1, max_size=2) as site:
        stuck = [asyncio.create_task(site.post("/forever", {})) for _ in range(160)]
        await site.streams.until(lambda: len(site.streams.texts("f")) >= 64)

        for _ in range(5):
            await site.json("/plain", {})

        for one in stuck:
            one.cancel()


async def test_a_plain_handler_that_goes_on_after_its_time_costs_the_worker_once_it_is_alone(
    tmp_path: Path, caplog: Any
) -> None:
    steps = {
        **CHAT,
        "steps/spin_step.py": SPIN,
        "steps/wait_step.py": BLOCKERS["steps/wait_step.py"],
    }
    async with serving(
        tmp_path, steps, settings=limited(tmp_path, 0.5), size=1, max_size=1, drain_timeout=0.2
    ) as site:
        (worker,) = site.pool.workers
        spinning = asyncio.create_task(site.post("/spin", {}))
        await site.streams.until(lambda: site.streams.texts("s"))
        with pytest.raises(TimedOut):
            await spinning

        await until(lambda: worker not in site.pool.workers)

        assert not psutil.pid_exists(worker.pid)
        told = next(line for line in caplog.messages if "did not stop" in line)
        assert "steps/spin_step.py" in told
        await full(site)


async def test_what_lives_beside_a_handler_that_does_not_stop_may_end(tmp_path: Path) -> None:
    steps = {
        **CHAT,
        **QUICK,
        "steps/forever_step.py": FOREVER,
        "steps/long_step.py": api(
            "/long",
            """
            await ctx.streams.chat.set('l', 'begun', {'text': os.getpid()})
            while not await ctx.streams.chat.get('l', 'end'):
                await asyncio.sleep(0.02)
            return {'status': 200, 'body': {'pid': os.getpid()}}
            """,
            top="import asyncio, os",
        ),
        "steps/end_step.py": api(
            "/end", "await ctx.streams.chat.set('l', 'end', {'text': 1})\nreturn {'status': 200}"
        ),
    }
    async with serving(tmp_path, steps, size=1, max_size=1, drain_timeout=0.05) as site:
        (worker,) = site.pool.workers
        long = asyncio.create_task(site.json("/long", {}))
        stuck = asyncio.create_task(site.post("/forever", {}))
        await site.streams.until(lambda: site.streams.texts("l") and site.streams.texts("f"))
        assert site.streams.texts("f") == [worker.pid]
        its_time_is_over(site, "steps/forever_step.py")
        stuck.cancel()
        await until(lambda: worker.draining)
        await until(lambda: any(one is not worker for one in site.pool.workers))
        assert (await site.json("/quick", {}))["pid"] != worker.pid

        await site.post("/end", {})

        assert (await long)["pid"] == worker.pid
        await until(lambda: not psutil.pid_exists(worker.pid))


async def test_a_step_that_did_not_stop_runs_in_processes_of_its_own_from_then_on(tmp_path: Path) -> None:
    steps = {**CHAT, "steps/forever_step.py": FOREVER, "steps/plain_step.py": PLAIN_QUICK}
    async with serving(tmp_path, steps, size=1, max_size=2, drain_timeout=0.05) as site:
        stuck = asyncio.create_task(site.post("/forever", {}))
        await site.streams.until(lambda: site.streams.texts("f"))
        its_time_is_over(site, "steps/forever_step.py")
        stuck.cancel()
        await until(lambda: "steps/forever_step.py" in site.pool.blocking)

        stuck = asyncio.create_task(site.post("/forever", {}))
        await site.streams.until(lambda: len(site.streams.texts("f")) == 2)

        assert site.streams.texts("f")[1] in {worker.pid for worker in site.pool.apart}
        stuck.cancel()


async def test_what_has_not_started_on_a_worker_that_answers_nothing_runs_elsewhere(
    tmp_path: Path, caplog: Any
) -> None:
    steps = {**QUICK, **CHAT, "steps/wait_step.py": BLOCKERS["steps/wait_step.py"]}
    async with serving(tmp_path, steps, size=1, max_size=2) as site:
        await full(site)
        first = site.pool.workers[0]
        waiting = asyncio.create_task(site.post("/wait", {}))
        await site.streams.until(lambda: site.streams.texts("w"))
        assert site.streams.texts("w") == [first.pid]
        os.kill(first.pid, signal.SIGSTOP)

        answers = await asyncio.gather(*(site.json("/quick", {}) for _ in range(5)))

        assert first.pid not in {answer["pid"] for answer in answers}
        with pytest.raises(WorkerLost, match="answered nothing"):
            await waiting
        lost = next(line for line in caplog.messages if f"Worker {first.pid} ended" in line)
        assert "steps/wait_step.py" in lost


async def test_an_idle_worker_that_is_stopped_costs_nobody_an_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, QUICK, size=1, max_size=1) as site:
        (worker,) = site.pool.workers
        os.kill(worker.pid, signal.SIGSTOP)

        answer = await site.json("/quick", {})

        assert answer["pid"] != worker.pid


CRASH = api(
    "/crash",
    "await ctx.streams.chat.set('c', 'c', {'text': os.getpid()})\nos.kill(os.getpid(), signal.SIGSEGV)",
    top="import os, signal",
)


async def test_a_step_that_kills_its_process_gets_one_of_its_own_and_then_a_pause(
    tmp_path: Path, caplog: Any
) -> None:
    steps = {**CHAT, **QUICK, "steps/crash_step.py": CRASH}
    async with serving(tmp_path, steps, size=1, max_size=2) as site:
        await full(site)
        with pytest.raises(WorkerLost, match="SIGSEGV"):
            await site.post("/crash", {})
        await full(site)
        workers = {worker.pid for worker in site.pool.workers}

        paused: HeadwaterError | None = None
        crashes = 1
        while paused is None:
            try:
                await site.post("/crash", {})
            except WorkerLost:
                crashes += 1
            except StepCrashes as error:
                paused = error

        assert crashes < 10
        assert {worker.pid for worker in site.pool.workers} == workers
        assert "ended its process too often" in paused.message
        assert paused.details["seconds"] > 0
        assert (await site.json("/quick", {}))["pid"] in workers
        told = [line for line in caplog.messages if "steps/crash_step.py" in line and "is not run" in line]
        assert len(told) == 1


async def test_deaths_by_requests_delay_no_new_worker(tmp_path: Path) -> None:
    steps = {
        **CHAT,
        **QUICK,
        **{f"steps/crash{n}_step.py": CRASH.replace("/crash", f"/crash{n}") for n in range(4)},
    }
    async with serving(tmp_path, steps, size=1, max_size=1) as site:
        for n in range(4):
            with pytest.raises(WorkerLost):
                await site.post(f"/crash{n}", {})

        assert site.pool._crew._backoff() == 0.0
        await site.post("/quick", {})


async def test_what_user_code_has_started_ends_with_its_worker(tmp_path: Path) -> None:
    steps = {
        "steps/child_step.py": api(
            "/child",
            """
            child = subprocess.Popen(['sleep', '600'])
            forked = os.fork()
            if not forked:
                while True: time.sleep(1)
            return {'status': 200, 'body': [child.pid, forked]}
            """,
            top="import os, subprocess, time",
        )
    }
    async with serving(tmp_path, steps, size=1, max_size=1) as site:
        started = await site.json("/child", {})
        assert all(map(lives, started))
    await until(lambda: not any(map(lives, started)))
