"""The lifespan of a Python worker: when it is entered and left, and what becomes of one that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import PATIENCE, WorkerDriver, body_of
from support.worker_project import step, working

APP = step("App", 'return {"status": 200, "body": {"app": ctx.app}}')
PLAIN = step("Plain", 'return {"status": 200, "body": {"app": ctx.app}}', plain=True)

KINDS = {
    "an async context manager": """
        from contextlib import asynccontextmanager
        @asynccontextmanager
        async def lifespan():
            yield {"n": 1}
    """,
    "an async generator": "async def lifespan():\n    yield {'n': 1}\n",
    "a context manager": """
        from contextlib import contextmanager
        @contextmanager
        def lifespan():
            yield {"n": 1}
    """,
    "a generator": "def lifespan():\n    yield {'n': 1}\n",
    "a class": """
        class lifespan:
            async def __aenter__(self):
                return {"n": 1}
            async def __aexit__(self, *error):
                pass
    """,
    "with a parameter": """
        async def lifespan(worker):
            worker.logger.info("opening")
            yield {"n": 1}
    """,
}
TWO_TASKS = """
    import asyncio
    async def lifespan():
        async with asyncio.timeout(600), asyncio.TaskGroup() as group:
            going = group.create_task(asyncio.sleep(600))
            yield {"task": going.get_name() != ""}
            print("left in the loop", asyncio.get_running_loop() is going.get_loop())
            going.cancel()
"""


def logged(worker: WorkerDriver) -> list[str]:
    return [line.header["message"] for line in worker.of_type("log")]


def end(worker: WorkerDriver) -> str:
    worker.send(protocol.drain())
    assert worker.process.wait(PATIENCE) == 0
    while worker.read() is not None:
        pass
    return worker.output()


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_yields_is_app(tmp_path: Path, kind: str) -> None:
    files = {"headwater_lifespan.py": KINDS[kind], "steps/a_step.py": APP, "steps/b_step.py": PLAIN}
    with working(tmp_path, files) as worker:
        assert worker.manifest.header["problems"] == []
        assert len(worker.manifest.header["steps"]) == 2
        assert body_of(worker.run_step("Plain")) == {"app": {"n": 1}}
        assert body_of(worker.run_step("App")) == {"app": {"n": 1}}


def test_without_a_file_app_is_none(tmp_path: Path) -> None:
    with working(tmp_path, {"steps/a_step.py": APP}) as worker:
        assert body_of(worker.run_step("App")) == {"app": None}


def test_it_is_entered_once_for_the_first_invocation_and_left_at_the_end(tmp_path: Path) -> None:
    lifespan = """
        async def lifespan():
            print("entered", flush=True)
            yield
            print("left", flush=True)
    """
    with working(tmp_path, {"headwater_lifespan.py": lifespan, "steps/a_step.py": APP}) as worker:
        worker.wait_for_all("result", [worker.call_step("App") for _ in range(5)])
        assert end(worker).split() == ["entered", "left"]


def test_one_that_nothing_ran_in_is_not_entered(tmp_path: Path) -> None:
    lifespan = "async def lifespan():\n    print('entered', flush=True)\n    yield\n"
    with working(tmp_path, {"headwater_lifespan.py": lifespan, "steps/a_step.py": APP}) as worker:
        assert end(worker) == ""


def test_one_task_enters_and_leaves_it(tmp_path: Path) -> None:
    with working(tmp_path, {"headwater_lifespan.py": TWO_TASKS, "steps/a_step.py": APP}) as worker:
        assert body_of(worker.run_step("App")) == {"app": {"task": True}}
        assert end(worker) == "left in the loop True\n"
        assert logged(worker) == []


def test_what_it_keeps_running_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with working(tmp_path, {"headwater_lifespan.py": TWO_TASKS, "steps/a_step.py": APP}) as worker:
        worker.run_step("App")
        worker.send(protocol.drain(linger=60.0))
        assert worker.process.wait(PATIENCE) == 0


def test_what_an_invocation_left_running_ends_before_it_is_left(tmp_path: Path) -> None:
    lifespan = """
        async def lifespan():
            app = {"open": True, "tasks": []}
            yield app
            app["open"] = False
    """
    body = """
        import asyncio
        async def late():
            try:
                await asyncio.sleep(600)
            finally:
                print("open", ctx.app["open"], flush=True)
        ctx.app["tasks"].append(asyncio.create_task(late()))
        await asyncio.sleep(0)
        return {"status": 204}
    """
    with working(
        tmp_path, {"headwater_lifespan.py": lifespan, "steps/a_step.py": step("App", body)}
    ) as worker:
        worker.run_step("App")
        assert end(worker) == "open True\n"


def test_one_that_fails_fails_what_waits_for_it_and_is_tried_again(tmp_path: Path) -> None:
    lifespan = """
        tries = []
        async def lifespan():
            tries.append(1)
            if len(tries) == 1:
                raise OSError("no database")
            yield {"n": len(tries)}
    """
    with working(tmp_path, {"headwater_lifespan.py": lifespan, "steps/a_step.py": APP}) as worker:
        error = worker.run_step("App").header["error"]
        assert error["code"] == "HANDLER_FAILED"
        assert error["message"] == (
            "headwater_lifespan.py failed before its yield (headwater_lifespan.py:6), so nothing can run."
        )
        [line] = worker.of_type("log")
        assert line.header["message"] == (
            "headwater_lifespan.py failed before its yield: OSError: no database (headwater_lifespan.py:6)"
        )
        assert 'raise OSError("no database")' in line.header["fields"]["traceback"]
        assert body_of(worker.run_step("App")) == {"app": {"n": 2}}


def test_one_that_fails_when_it_is_left_is_told(tmp_path: Path) -> None:
    lifespan = "async def lifespan():\n    yield\n    raise ValueError('still open')\n"
    with working(tmp_path, {"headwater_lifespan.py": lifespan, "steps/a_step.py": APP}) as worker:
        worker.run_step("App")
        end(worker)
        assert logged(worker) == [
            "headwater_lifespan.py failed after its yield: ValueError: still open (headwater_lifespan.py:3)"
        ]


def test_one_that_does_not_end_is_cancelled(tmp_path: Path) -> None:
    lifespan = "import asyncio\nasync def lifespan():\n    yield\n    await asyncio.sleep(600)\n"
    with working(tmp_path, {"headwater_lifespan.py": lifespan, "steps/a_step.py": APP}) as worker:
        worker.run_step("App")
        end(worker)
        assert logged(worker) == [
            "headwater_lifespan.py is still busy after its yield; the end of its worker waits for it",
            "headwater_lifespan.py did not end within 3 s and is cancelled",
        ]


BROKEN = {
    "import": ("x = 1\nraise OSError('gone')\n", "IMPORT_FAILED", 2),
    "syntax": ("x = 1\ndef lifespan(:\n", "SYNTAX_ERROR", 2),
    "nothing": ("x = 1\n", "LIFESPAN_INVALID", None),
    "no yield": ("x = 1\nasync def lifespan():\n    return 1\n", "LIFESPAN_INVALID", 2),
    "no function": ("x = 1\nlifespan = 1\n", "LIFESPAN_INVALID", 2),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_a_problem_and_nothing_runs(tmp_path: Path, kind: str) -> None:
    source, code, line = BROKEN[kind]
    with working(tmp_path, {"headwater_lifespan.py": source, "steps/a_step.py": APP}) as worker:
        [problem] = worker.manifest.header["problems"]
        assert (problem["file"], problem["code"], problem.get("line")) == (
            "headwater_lifespan.py", code, line
        )  # fmt: skip
        assert "headwater_lifespan.py" in worker.run_step("App").header["error"]["message"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_that_holds_the_loop_is_named(tmp_path: Path, when: str) -> None:
    hold = 'open("gate").read()'
    before, after = (hold, "pass") if when == "before" else ("pass", hold)
    source = f"async def lifespan():\n    {before}\n    yield\n    {after}\n"
    os.mkfifo(tmp_path / "gate")
    with working(tmp_path, {"headwater_lifespan.py": source, "steps/app_step.py": APP}) as worker:
        worker.call_step("App")
        if when == "after":
            worker.wait_for("result")
            worker.send(protocol.drain(0.0))
        line = worker.wait_for("log")
        assert line.header["message"].startswith(f"headwater_lifespan.py is still busy {when} its yield")
        os.close(os.open(tmp_path / "gate", os.O_WRONLY))
