"""Workers: code that blocks, workers that die, growth, back pressure, the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from headwater.config import Settings
from headwater.errors import HeadwaterError, Overloaded, TimedOut, WorkerLost
from support.steps_project import Site, api, serving, stream

BLOCKER = """
for n in range(20):
    ctx.streams.chat.set(req["body"]["group"], str(n), {"text": n})
    time.sleep(0.05)
return {"status": 200, "body": {}}
"""
CHAT = {"steps/chat_stream.py": stream("chat")}
QUICK = {
    "steps/quick_step.py": api(
        "/quick", "return {'status': 200, 'body': {'pid': os.getpid()}}", top="import os"
    )
}
BLOCKERS = {
    **CHAT,
    **QUICK,
    "steps/block_step.py": api("/block", BLOCKER, top="import time"),
    "steps/wait_step.py": api(
        "/wait",
        "await ctx.streams.chat.set('w', 'w', {'text': os.getpid()})\nawait asyncio.sleep(60)",
        top="import asyncio, os",
    ),
    "steps/die_step.py": api(
        "/die",
        "await ctx.streams.chat.set('d', 'd', {'text': 1})\nos._exit(3)",
        top="import os",
    ),
}


async def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait for what no event tells: the state of other processes."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def full(site: Site) -> None:
    """Wait until the pool has its usual number of workers."""
    await until(lambda: len(site.pool.workers) == site.pool._crew.size.usual)


async def test_unawaited_sets_of_a_blocking_handler_take_effect_as_they_are_made(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS) as site:
        running = asyncio.create_task(site.post("/block", {"group": "a"}))
        await site.streams.until(lambda: len(site.streams.texts("a")) >= 5)
        assert not running.done()
        assert len(site.streams.texts("a")) < 20
        await running

        assert site.streams.texts("a") == list(range(20))
        times = site.streams.times("a")
        assert times[-1] - times[0] > 0.5


async def test_what_has_not_started_on_a_stalled_worker_moves_to_another(tmp_path: Path) -> None:
    stopped = {**QUICK, **CHAT, "steps/wait_step.py": BLOCKERS["steps/wait_step.py"]}
    async with serving(tmp_path, stopped, size=1, max_size=2) as site:
        await full(site)
        first = site.pool.workers[0]
        waiting = asyncio.create_task(site.post("/wait", {}))
        await site.streams.until(lambda: site.streams.texts("w"))
        os.kill(first.pid, signal.SIGSTOP)
        try:
            answers = [asyncio.create_task(site.json("/quick", {})) for _ in range(3)]
            await until(lambda: first.stalled)
            late = await site.json("/quick", {})
            assert late["pid"] == site.pool.workers[1].pid
        finally:
            os.kill(first.pid, signal.SIGCONT)
        await asyncio.gather(*answers)
        await until(lambda: not first.stalled)
        waiting.cancel()


async def test_the_pool_grows_while_workers_are_stalled(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS, size=1, max_size=4) as site:
        await full(site)
        waiting = asyncio.create_task(site.post("/wait", {}))
        await site.streams.until(lambda: site.streams.texts("w"))
        stalled = site.pool.workers[0]
        os.kill(stalled.pid, signal.SIGSTOP)
        try:
            await until(lambda: len(site.pool.workers) == 3)
            assert (stalled.pid,) in site.ear.of("stalled")
        finally:
            os.kill(stalled.pid, signal.SIGCONT)
        waiting.cancel()


async def test_a_killed_worker_fails_its_own_invocations_alone_and_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS, size=2) as site:
        await full(site)
        waiting = [asyncio.create_task(site.post("/wait", {})) for _ in range(2)]
        await site.streams.until(lambda: len(site.streams.texts("w")) == 2)
        victim, other = site.streams.texts("w")
        assert victim != other

        os.kill(victim, signal.SIGKILL)

        ended, going_on = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(WorkerLost) as caught:
            await ended.pop()
        assert 'The worker that ran "wait" ended (signal SIGKILL)' in caught.value.message
        assert caught.value.details["step"] == "wait"
        await site.post("/quick", {})
        await full(site)
        assert victim not in {worker.pid for worker in site.pool.workers}
        assert site.ear.of("lost") == [(victim, "signal SIGKILL")]
        assert not psutil.pid_exists(victim)
        (other_wait,) = going_on
        assert not other_wait.done()
        other_wait.cancel()


async def test_a_handler_that_ends_its_process_is_named_with_the_exit_code(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS) as site:
        with pytest.raises(WorkerLost, match=r'"die" ended \(exit code 3\)'):
            await site.post("/die", {})
        await site.post("/quick", {})


async def test_workers_that_keep_dying_are_started_again_with_pauses(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS, size=1, max_size=1) as site:
        for _ in range(3):
            await full(site)
            (worker,) = site.pool.workers
            os.kill(worker.pid, signal.SIGKILL)
            await until(lambda: not site.pool.workers)
        assert site.pool._crew._backoff() > 0
        assert (await site.post("/quick", {})).status == 200


async def test_a_cancelled_call_cancels_the_invocation(tmp_path: Path) -> None:
    body = """
    try:
        await ctx.streams.chat.set("c", "begun", {"text": "begun"})
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        ctx.streams.chat.set("c", "cancelled", {"text": "cancelled"})
        raise
    """
    files = {**CHAT, "steps/a_step.py": api("/a", body, top="import asyncio")}
    async with serving(tmp_path, files) as site:
        running = asyncio.create_task(site.post("/a", {}))
        await site.streams.until(lambda: site.streams.texts("c") == ["begun"])
        running.cancel()
        await site.streams.until(lambda: site.streams.texts("c") == ["begun", "cancelled"])
        await until(lambda: not any(worker.running for worker in site.pool.workers))


async def test_a_step_that_takes_too_long_times_out(tmp_path: Path) -> None:
    settings = Settings(project=tmp_path)
    settings = _with(settings, "server", request_timeout=0.3)
    async with serving(tmp_path, BLOCKERS, settings=settings) as site:
        with pytest.raises(TimedOut, match=r'"wait" took longer than 0.3 s') as caught:
            await site.post("/wait", {})
        assert caught.value.details["seconds"] == 0.3
        await until(lambda: not any(worker.running for worker in site.pool.workers))


async def test_a_cancelled_handler_that_goes_on_blocking_costs_its_worker_and_its_place_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = "ctx.streams.chat.set('a', 'a', {'text': os.getpid()})\ntime.sleep(60)"
    files = {**CHAT, **QUICK, "steps/a_step.py": api("/a", body, top="import os, time")}
    async with serving(tmp_path, files, drain_timeout=0.3) as site:
        blocked = asyncio.create_task(site.post("/a", {}))
        await site.streams.until(lambda: site.streams.texts("a"))
        blocked.cancel()
        (pid,) = site.streams.texts("a")
        await until(lambda: pid not in {worker.pid for worker in site.pool.workers})
        assert (await site.post("/quick", {})).status == 200
    said = {line.message for line in caplog.records}
    assert "An invocation was ended with its worker, at steps/a_step.py:6" in said


async def test_a_cancelled_request_that_another_one_holds_up_does_not_cost_the_worker(tmp_path: Path) -> None:
    says = "ctx.streams.chat.set('c', {0!r}, {{'text': {0!r}}})\n"
    wait = says.format("begun") + "await asyncio.sleep(60)"
    hold = says.format("held") + "time.sleep(1.5)\nreturn {'status': 200, 'body': 'whole'}"
    files = {
        **CHAT,
        "steps/a_step.py": api("/wait", wait, top="import asyncio"),
        "steps/b_step.py": api("/hold", hold, top="import time"),
    }
    async with serving(tmp_path, files, size=1, max_size=1, drain_timeout=0.3) as site:
        waiting = asyncio.create_task(site.post("/wait", {}))
        await site.streams.until(lambda: site.streams.texts("c") == ["begun"])
        holding = asyncio.create_task(site.post("/hold", {}))
        await site.streams.until(lambda: site.streams.texts("c") == ["begun", "held"])
        waiting.cancel()
        assert (await holding).status == 200


async def test_more_waiting_requests_than_allowed_are_refused_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS, size=1, max_size=1, max_waiting=2) as site:
        stalled = site.pool.workers[0]
        running = asyncio.create_task(site.post("/wait", {}))
        await site.streams.until(lambda: site.streams.texts("w"))
        os.kill(stalled.pid, signal.SIGSTOP)
        try:
            await until(lambda: stalled.stalled)
            waiting = [asyncio.create_task(site.post("/quick", {})) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="2 requests wait"):
                await site.post("/quick", {})
            assert site.ear.of("limited") == [("workers.max_waiting", 2)]
        finally:
            os.kill(stalled.pid, signal.SIGCONT)
        await asyncio.gather(*waiting)
        running.cancel()


async def test_a_worker_is_not_read_while_its_writes_pile_up(tmp_path: Path) -> None:
    body = """
    calls = [ctx.streams.chat.set("p", str(n), {"text": "x" * 10_000}) for n in range(req["body"]["count"])]
    for call in calls:
        await call
    return {"status": 200, "body": {"done": len(calls)}}
    """
    settings = _with(Settings(project=tmp_path), "storage", max_pending_bytes=200_000)
    files = {**CHAT, "steps/a_step.py": api("/a", body)}
    async with serving(tmp_path, files, settings=settings, size=1, max_size=1) as site:
        site.streams.hold()
        running = asyncio.create_task(site.json("/a", {"count": 200}))
        await until(lambda: site.pool._tick._intake.full)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(site.streams.texts("p")) < 100, "the server went on reading"
        site.streams.release()
        assert await running == {"done": 200}
        assert len(site.streams.texts("p")) == 200


async def test_pings_stop_when_nothing_runs(tmp_path: Path) -> None:
    async with serving(tmp_path, BLOCKERS) as site:
        await full(site)
        await asyncio.gather(*(site.post("/quick", {}) for _ in range(5)))
        await until(lambda: not site.pool._tick.is_due)


async def test_closing_lets_running_invocations_end_and_leaves_no_process(tmp_path: Path) -> None:
    body = "await asyncio.sleep(0.3)\nreturn {'status': 200, 'body': {'ended': True}}"
    before = children()
    async with serving(tmp_path, {"steps/a_step.py": api("/a", body, top="import asyncio")}) as site:
        running = asyncio.create_task(site.json("/a", {}))
        await until(lambda: any(worker.running for worker in site.pool.workers))
        await site.runtime.close()
        assert await running == {"ended": True}
        with pytest.raises(Overloaded, match="stopping"):
            await site.post("/a", {})
    assert children() <= before


async def test_closing_ends_what_does_not_end_by_itself(tmp_path: Path) -> None:
    before = children()
    settings = _with(Settings(project=tmp_path), "server", shutdown_timeout=0.2)
    async with serving(tmp_path, BLOCKERS, settings=settings) as site:
        site.runtime._settings = settings
        running = asyncio.create_task(site.post("/wait", {}))
        await site.streams.until(lambda: site.streams.texts("w"))
        await site.runtime.close()
        with pytest.raises(WorkerLost):
            await running
        assert site.ear.of("limited") == [("server.shutdown_timeout", 0.2)]
    assert children() <= before


SERVER = """
import asyncio, psutil, sys
from pathlib import Path
from support.steps_project import api, serving

async def main(root):
    body = "import time; subprocess.Popen(['sleep', '600']); time.sleep(60)"
    files = {"steps/a_step.py": api("/a", body, top="import subprocess")}
    async with serving(root, files, size=1, max_size=1) as site:
        task = asyncio.create_task(site.post("/a", {}))
        while not any(one.started for one in site.pool.workers[0].running.values()):
            await asyncio.sleep(0.01)
        worker = psutil.Process(site.pool.workers[0].pid)
        while not (begun := [one.pid for one in worker.children() if one.name() == "sleep"]):
            await asyncio.sleep(0.01)
        print(worker.pid, *begun, flush=True)
        await asyncio.sleep(60)

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_worker_and_what_it_started_end_with_the_server_even_while_user_code_blocks(
    tmp_path: Path,
) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVER,
        str(tmp_path),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    worker, child = map(int, (await server.stdout.readline()).split())
    server.kill()
    await server.communicate()
    await until(lambda: not psutil.pid_exists(worker))
    await until(lambda: not lives(child))


async def test_a_grandchild_that_holds_the_socket_delays_nothing(tmp_path: Path) -> None:
    body = "if os.fork() == 0:\n    time.sleep(8)\n    os._exit(0)\nos._exit(5)"
    files = {**QUICK, "steps/a_step.py": api("/a", body, top="import os, time")}
    async with serving(tmp_path, files) as site:
        async with asyncio.timeout(6):
            with pytest.raises(WorkerLost, match="exit code 5"):
                await site.post("/a", {})
        assert (await site.post("/quick", {})).status == 200


async def test_a_worker_that_breaks_the_protocol_is_ended(tmp_path: Path) -> None:
    body = """
    for fd in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.write(fd, bytes([255]) * 64)
        except OSError:
            pass
    await asyncio.sleep(60)
    """
    files = {**QUICK, "steps/a_step.py": api("/a", body, top="import asyncio, os, stat")}
    async with serving(tmp_path, files) as site:
        with pytest.raises(WorkerLost, match="it broke the protocol"):
            await site.post("/a", {})
        assert (await site.post("/quick", {})).status == 200


async def test_output_of_workers_is_logged_line_by_line(tmp_path: Path, caplog: Any) -> None:
    body = "print('one'); print('two'); sys.stderr.write('odd'); return {'status': 200}"
    with caplog.at_level("INFO", "headwater.user"):
        async with serving(tmp_path, {"steps/a_step.py": api("/a", body, top="import sys")}) as site:
            await site.post("/a", {})
    lines = [
        (record.levelname, record.message) for record in caplog.records if record.name == "headwater.user"
    ]
    assert ("INFO", "one") in lines
    assert ("INFO", "two") in lines
    assert ("WARNING", "odd") in lines


async def test_twenty_megabytes_pass_as_body_and_as_item(tmp_path: Path) -> None:
    body = """
    item = await ctx.streams.chat.set("big", "b", {"text": req["body"]["text"]})
    return {"status": 200, "body": item}
    """
    files = {**CHAT, "steps/a_step.py": api("/a", body)}
    async with serving(tmp_path, files) as site:
        text = "x" * 20_000_000
        answer = await site.json("/a", {"text": text})
    assert answer == {"id": "b", "text": text}


async def test_a_request_that_fits_no_frame_is_refused_and_the_worker_lives(tmp_path: Path) -> None:
    files = {"steps/a_step.py": api("/a", "return {'status': 200, 'body': {}}")}
    async with serving(tmp_path, files, max_frame_bytes=100_000) as site:
        with pytest.raises(HeadwaterError) as caught:
            await site.post("/a", {"text": "x" * 200_000})
        assert caught.value.code == "TOO_LARGE"
        assert caught.value.status == 413
        assert (await site.post("/a", {})).status == 200


def _with(settings: Settings, section: str, **values: Any) -> Settings:
    return replace(settings, **{section: replace(getattr(settings, section), **values)})
