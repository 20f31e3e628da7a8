"""Events and cron steps in a real server: across languages, over kills, reloads and ends."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.command import serving

OUT = 'config = {"name": "out", "schema": None}\n'
GO = """
config = {"type": "api", "name": "Go", "method": "POST", "path": "/go/:topic", "emits": []}


async def handler(req, ctx):
    await ctx.emit({"topic": req["pathParams"]["topic"], "data": req["body"]})
    return {"status": 202, "body": {}}
"""
FROM_PYTHON = """
config = {"type": "event", "name": "Py", "subscribes": ["py"], "emits": ["ts"], "input": None}


async def handler(input, ctx):
    await ctx.emit({"topic": "ts", "data": {**input, "py": ctx.attempt, "trace": ctx.trace_id}})
"""
FROM_TYPESCRIPT = """
export const config = { type: 'event', name: 'Ts', subscribes: ['ts'], emits: ['end'] }
export const handler = async (input: any, { emit, attempt, traceId }: any) => {
  await emit({ topic: 'end', data: { ...input, ts: attempt, same: traceId === input.trace } })
}
"""
END = """
config = {"type": "event", "name": "End", "subscribes": ["end"], "emits": []}


def handler(input, ctx):
    ctx.streams.out.set("g", str(input["n"]), input)
"""
SLOW = """
import asyncio, os, signal

config = {"type": "event", "name": "Slow", "subscribes": ["slow"], "emits": []}


async def handler(input, ctx):
    await ctx.streams.out.set("slow", f"{input['n']}-{ctx.attempt}", {"pid": os.getpid()})
    if input.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if ctx.attempt <= input.get("hang", 0):
        await asyncio.sleep(600)
    await ctx.streams.out.set("done", str(input["n"]), {"attempt": ctx.attempt})
"""
TICK = """
config = {"type": "cron", "name": "Tick", "cron": "* * * * * *", "emits": []}


async def handler(ctx):
    await ctx.streams.out.update("ticks", "t", [{"type": "increment", "path": "n"}])
"""


def items(url: str, group: str) -> list[Any]:
    return httpx.get(f"{url}/streams/out/{group}").json()["items"]


def until(what: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    for name, source in {"out_stream.py": OUT, "go_step.py": GO, "slow_step.py": SLOW}.items():
        (tmp_path / "steps" / name).write_text(source)
    return tmp_path


def test_python_and_typescript_steps_consume_each_others_events(project: Path) -> None:
    for name, source in {
        "py_step.py": FROM_PYTHON,
        "ts.step.ts": FROM_TYPESCRIPT,
        "end_step.py": END,
    }.items():
        (project / "steps" / name).write_text(source)
    with serving("start", "--port", "0", cwd=project) as server:
        for number in range(20):
            assert httpx.post(f"{server.url}/go/py", json={"n": number}).status_code == 202
        found = until(lambda: len(got := items(server.url, "g")) == 20 and got)
    assert {item["n"] for item in found} == set(range(20))
    assert all((item["py"], item["ts"], item["same"]) == (1, 1, True) for item in found)


def test_what_was_accepted_is_done_after_a_kill(project: Path) -> None:
    with serving("start", "--port", "0", cwd=project) as server:
        for number in range(15):
            assert httpx.post(f"{server.url}/go/slow", json={"n": number, "hang": 1}).status_code == 202
        until(lambda: len(items(server.url, "slow")) == 10)
        server.stop(signal.SIGKILL)
    with serving("start", "--port", "0", cwd=project) as server:
        until(lambda: len(items(server.url, "slow")) == 25)
        server.stop(signal.SIGKILL)
    with serving("start", "--port", "0", cwd=project) as server:
        done = until(lambda: len(got := items(server.url, "done")) == 15 and got)
    assert all(2 <= item["attempt"] <= 3 for item in done)


def test_a_server_that_ends_hands_its_work_on_and_counts_no_attempt(project: Path) -> None:
    flags = ("--port", "0", "--set", "server.shutdown_timeout=0.2")
    with serving("start", *flags, cwd=project) as server:
        httpx.post(f"{server.url}/go/slow", json={"n": 1, "hang": 1})
        until(lambda: items(server.url, "slow"))
    with serving("start", *flags, cwd=project) as server:
        until(lambda: len(items(server.url, "slow")) == 1)
        time.sleep(0.5)
        assert [item["id"] for item in items(server.url, "slow")] == ["1-1"]


def test_a_job_that_kills_its_worker_ends_as_dead(project: Path) -> None:
    with serving("start", "--port", "0", "--set", "work.retry_first=0.01", cwd=project) as server:
        httpx.post(f"{server.url}/go/slow", json={"n": 1, "die": True})
        server.err.wait_for("is given up after 4 attempts")
        assert len(items(server.url, "slow")) == 4
        httpx.post(f"{server.url}/go/slow", json={"n": 2})
        until(lambda: items(server.url, "done"))


def test_a_reload_lets_work_end_and_then_hands_it_on(project: Path) -> None:
    flags = ("--port", "0", "--set", "workers.drain_timeout=0.3")
    with serving("dev", *flags, cwd=project) as server:
        httpx.post(f"{server.url}/go/slow", json={"n": 1, "hang": 1})
        first = until(lambda: items(server.url, "slow"))
        changed = SLOW.replace("ctx.attempt <= input", "False and ctx.attempt <= input")
        (project / "steps" / "slow_step.py").write_text(changed)
        (done,) = until(lambda: items(server.url, "done"))
        assert done["attempt"] == 1
        assert items(server.url, "slow")[0]["pid"] != first[0]["pid"]


def test_a_cron_step_runs_by_the_clock(project: Path) -> None:
    (project / "steps" / "tick_step.py").write_text(TICK)
    with serving("start", "--port", "0", cwd=project) as server:
        until(lambda: (got := items(server.url, "ticks")) and got[0]["n"] >= 2)


REACT = """
config = {"type": "event", "name": "React", "subscribes": ["stream:out", "state:totals"], "emits": []}


async def condition(input, ctx):
    return input["groupId"] in ("watched", "totals")


async def handler(input, ctx):
    if input["groupId"] == "watched":
        await ctx.state.set("totals", input["id"], input["version"])
    else:
        await ctx.streams.out.set("seen", input["id"], {"value": input["new"], "old": input["old"]})
"""


def test_steps_react_to_streams_and_state(project: Path) -> None:
    (project / "steps" / "react_step.py").write_text(REACT)
    (project / "steps" / "put_step.py").write_text(
        'config = {"type": "api", "name": "Put", "method": "PUT", "path": "/put/:id", "emits": []}\n\n\n'
        "async def handler(req, ctx):\n"
        '    await ctx.streams.out.set("watched", req["pathParams"]["id"], {})\n'
        '    await ctx.streams.out.set("ignored", req["pathParams"]["id"], {})\n'
        '    return {"status": 204}\n'
    )
    with serving("start", "--port", "0", cwd=project) as server:
        for item in "abc":
            assert httpx.put(f"{server.url}/put/{item}").status_code == 204
        seen = until(lambda: len(got := items(server.url, "seen")) == 3 and got)
    assert sorted((one["id"], one["value"], one["old"]) for one in seen) == [
        ("a", 1, None),
        ("b", 2, None),
        ("c", 3, None),
    ]
