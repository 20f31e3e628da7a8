"""User code that outlives its invocation: a worker that is let go waits for it for a while, and tells what
it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import PATIENCE, WorkerDriver
from support.worker_project import step, working

TOP = "import asyncio, os, threading, time\nkept = []"
TASK = """
async def work():
    while not os.path.exists("gate"):
        await asyncio.sleep(0.01)
    await ctx.streams.chat.set("late", "a", {"n": 1})
kept.append(asyncio.create_task(work()))
return {"status": 204}
"""
THREAD = """
def work():
    while not os.path.exists("gate"):
        time.sleep(0.01)
    ctx.streams.chat.set("late", "a", {"n": 1}).result()
threading.Thread(target=work%s).start()
return {"status": 204}
"""
KINDS = {
    "task": (TASK, False),
    "thread": (THREAD % "", False),
    "daemon": (THREAD % ", daemon=True", False),
    "thread of a plain handler": (THREAD % "", True),
    "executor": (
        THREAD.replace(
            "threading.Thread(target=work%s).start()",
            "kept.append(asyncio.to_thread(work))\nkept.append(asyncio.create_task(kept.pop()))",
        ),
        False,
    ),
}


def told(worker: WorkerDriver) -> list[tuple[str, str]]:
    return [
        (line.header["step"], line.header["message"])
        for line in worker.of_type("log")
        if "was ended with its worker" in line.header["message"]
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_drained_worker_waits_for_what_an_invocation_left_running(tmp_path: Path, kind: str) -> None:
    body, plain = KINDS[kind]
    with working(tmp_path, {"steps/x_step.py": step("X", body, top=TOP, plain=plain)}) as worker:
        worker.run_step("X")
        worker.send(protocol.drain(linger=60.0))
        worker.send(protocol.ping(1))
        worker.wait_for("pong")
        assert worker.process.poll() is None
        (tmp_path / "gate").touch()
        assert worker.wait_for("call").header["item"] == "a"
        assert worker.process.wait(PATIENCE) == 0
        assert told(worker) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_on_for_longer_is_told_with_its_step_and_place_and_ended(tmp_path: Path, kind: str) -> None:
    body, plain = KINDS[kind]
    source = step("X", body, top=TOP, plain=plain)
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        worker.run_step("X")
        worker.send(protocol.drain(linger=0.2))
        stands = next(n for n, text in enumerate(source.splitlines(), 1) if "sleep(0.01)" in text)
        what = "task" if kind == "task" else "thread"
        place = f"steps/x_step.py:{stands}"
        said = f"A {what} that went on after its invocation was ended with its worker, at {place}"
        while ("X", said) not in told(worker):
            worker.wait_for("log")
        assert worker.process.wait(PATIENCE) == 0


def test_a_task_that_holds_the_loop_is_told_and_ended_as_well(tmp_path: Path) -> None:
    body = """
        async def work():
            await asyncio.sleep(0)
            time.sleep(60)
        kept.append(asyncio.create_task(work()))
        return {"status": 204}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top=TOP)}) as worker:
        worker.run_step("X")
        worker.send(protocol.drain(linger=0.1))
        assert worker.wait_for("log").header["fields"]["file"] == "steps/x_step.py"


def test_what_a_library_keeps_going_does_not_count(tmp_path: Path) -> None:
    body = """
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        await asyncio.to_thread(time.sleep, 0)
        return {"status": 204}
    """
    with working(tmp_path, {"steps/x_step.py": step("X", body, top=TOP)}) as worker:
        worker.run_step("X")
        worker.send(protocol.drain(linger=60.0))
        assert worker.process.wait(PATIENCE) == 0
        assert told(worker) == []


PLAIN = "def pause(req, ctx, following):\n    open('here', 'w').close(); time.sleep(60)"
ASYNC = "async def pause(req, ctx, following):\n    open('here', 'w').close(); await asyncio.sleep(60)"
PASS = "async def passing(req, ctx, following):\n    return await following()"
WAIT = "def waiting(req, ctx, following):\n    return following()"
STANDING = {
    "a plain handler": ("", True),
    "a plain handler behind async middleware": (PASS, True),
    "an async handler behind plain middleware": (WAIT, False),
    "plain middleware": (PLAIN, False),
    "async middleware": (ASYNC, True),
}


@pytest.mark.parametrize("what", STANDING)
def test_of_an_invocation_that_is_ended_it_says_where_it_stands(tmp_path: Path, what: str) -> None:
    middleware, plain = STANDING[what]
    name = middleware.partition("(")[0].split()[-1:]
    body = f"open('here', 'w').close(); {'time' if plain else 'await asyncio'}.sleep(60)"
    source = step("X", body, top=f"{TOP}\n{middleware}", plain=plain)
    source += f"\nconfig['middleware'] = [{', '.join(name)}]\n"
    stands = next(n for n, text in enumerate(source.splitlines(), 1) if "sleep(60)" in text)
    with working(tmp_path, {"steps/x_step.py": source}) as worker:
        worker.wait_for("started", worker.call_step("X"))
        while not (tmp_path / "here").exists():
            time.sleep(0.01)
        worker.send(protocol.end())
        worker.process.wait(PATIENCE)
        while worker.read() is not None:
            pass
        said = [text for _, text in told(worker) if text.startswith("An invocation ")]
        assert said == [f"An invocation was ended with its worker, at steps/x_step.py:{stands}"]


def test_told_to_end_it_says_what_it_ends_and_does_so_at_once(tmp_path: Path) -> None:
    body = "await asyncio.sleep(60)\nreturn {'status': 204}"
    files = {"steps/x_step.py": step("X", TASK, top=TOP), "steps/y_step.py": step("Y", body, top=TOP)}
    with working(tmp_path, files) as worker:
        worker.run_step("X")
        worker.wait_for("started", worker.call_step("Y"))
        worker.send(protocol.ping(1))
        worker.wait_for("pong")
        worker.send(protocol.end())
        worker.process.wait(PATIENCE)
        while worker.read() is not None:
            pass
        assert sorted(told(worker))[0][0] == "X"
        assert ("Y", "An invocation was ended with its worker, at steps/y_step.py:6") in told(worker)
        assert worker.of_type("result")[1:] == []
