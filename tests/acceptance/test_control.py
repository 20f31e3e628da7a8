"""Commands that speak to a running server: queues, emits, cancels, and who may."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.command import headwater, serving

STEP = """
import asyncio

config = {"type": "event", "name": "Bill", "subscribes": ["bill"], "emits": []}


async def handler(input, ctx):
    if input.get("bad"):
        raise ValueError("This bill is bad.")
    if input.get("hang"):
        await ctx.step("half", lambda: 1)
        await asyncio.sleep(600)
"""
ROUTE = """
config = {"type": "api", "name": "Mail", "method": "POST", "path": "/mail", "emits": []}


def handler(req, ctx):
    return {"status": 200}
"""
CRON = """
config = {"type": "cron", "name": "Yearly", "cron": "0 0 1 1 *", "emits": []}


def handler(ctx):
    pass
"""
FLAGS = ("--port", "0", "--set", "work.retry_first=0.01", "--set", "work.max_retries=1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "bill_step.py").write_text(STEP)
    (tmp_path / "steps" / "yearly_step.py").write_text(CRON)
    (tmp_path / "steps" / "mail_step.py").write_text(ROUTE)
    return tmp_path


def run(project: Path, *words: str) -> str:
    """What a command prints that goes well."""
    done = headwater(*words, cwd=project)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def read(project: Path, *words: str) -> Any:
    return json.loads(run(project, *words, "--json"))


def bill(project: Path) -> dict[str, Any]:
    return next(queue for queue in read(project, "queue", "list") if queue["step"] == "Bill")


def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen"
    return found


@pytest.mark.parametrize("command", ["start", "dev"])
def test_the_queue_is_seen_and_steered_while_the_server_runs(project: Path, command: str) -> None:
    with serving(command, *FLAGS, cwd=project) as server:
        assert server.url
        told, shown = run(project, "emit", "bill", '{"bad": true}').splitlines()
        assert told == "Accepted for 1 step, in these runs:"
        assert 'Nobody subscribes to "bil"' in run(project, "emit", "bil", "1")
        (letter,) = until(lambda: read(project, "queue", "dead"))
        assert (letter["step"], letter["attempts"]) == ("Bill", 2)
        assert shown == f"  {letter['id']}  Bill"
        listed = run(project, "queue", "list")
        assert "Bill" in listed
        assert "Yearly" in listed
        assert "This bill is bad." in run(project, "queue", "dead")
        shown = run(project, "queue", "show", letter["id"])
        assert '"bad": true' in shown
        assert "steps/bill_step.py" in shown
        assert run(project, "queue", "pause", "Bill") == '"Bill" is paused.\n'
        run(project, "emit", "bill", "{}")
        assert run(project, "queue", "purge", "--waiting", "--yes") == "1 event thrown away.\n"
        assert run(project, "queue", "retry", letter["id"]) == "1 event tried again.\n"
        assert (bill(project)["waiting"], bill(project)["dead"]) == (1, 0)
        run(project, "queue", "resume", "Bill")
        until(lambda: bill(project)["dead"] == 1)
        assert run(project, "queue", "purge", "--yes") == "1 event thrown away.\n"
        assert bill(project)["dead"] == 0


def test_events_of_a_step_that_is_gone_are_a_problem_of_the_project(project: Path) -> None:
    with serving("dev", *FLAGS, cwd=project) as server:
        assert server.url
        run(project, "emit", "bill", "{}", "--delay", "600")
        (project / "steps" / "bill_step.py").unlink()
        until(lambda: read(project, "queue", "list")[0]["kind"] == "lost")
        told = run(project, "routes")
    assert "STEP_LOST" in told
    assert 'no step "Bill" any more, for which 1 events wait' in told


def test_a_run_is_stopped_from_the_terminal(project: Path) -> None:
    with serving("start", *FLAGS, cwd=project) as server:
        assert server.url
        run(project, "emit", "bill", '{"hang": true}')
        (running,) = until(lambda: read(project, "queue", "running"))
        assert running["id"] in run(project, "queue", "running", "--step", "Bill")
        until(lambda: "half" in run(project, "queue", "show", running["id"]))
        assert run(project, "cancel", running["id"]) == "Cancelled.\n"
        until(lambda: bill(project)["running"] == 0)
        (shown,) = [read(project, "queue", "show", running["id"])]
        assert (shown["status"], shown["attempts"]) == ("cancelled", 1)


def test_what_the_server_holds_in_memory_is_seen_beside_its_bounds(project: Path) -> None:
    with serving("start", *FLAGS, "--set", "server.max_bodies_bytes=1000000", cwd=project) as server:
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
            client.sendall(b"POST /mail HTTP/1.1\r\nhost: localhost\r\ncontent-length: 200000\r\n\r\n")
            client.sendall(b"x" * 100_000)
            until(lambda: re.search(r"97\.7 KiB +977 KiB", run(project, "limits")))
        bodies = until(lambda: next(one for one in read(project, "limits") if not one["now"]))
    assert bodies == {
        "kind": "request bodies",
        "unit": "bytes",
        "now": 0,
        "limit": 1_000_000,
        "setting": "server.max_bodies_bytes",
    }


def test_only_the_owner_may_speak_to_it_and_a_killed_server_leaves_nothing_in_the_way(project: Path) -> None:
    with serving("start", *FLAGS, cwd=project) as server:
        assert server.url
        folder = project / ".headwater"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "control.sock").stat().st_mode) == 0o600
        server.stop(signal.SIGKILL)
        assert (folder / "control.sock").exists()
    refused = headwater("queue", "list", cwd=project)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"error NO_SERVER No server runs for {project}.\n"
        "  `headwater dev` or `headwater start` there begins one.\n"
    )
    with serving("start", *FLAGS, cwd=project) as server:
        assert server.url
        assert bill(project)["running"] == 0
    assert not (folder / "control.sock").exists()


def test_a_second_server_of_a_project_is_refused(project: Path) -> None:
    with serving("start", *FLAGS, cwd=project) as server:
        assert server.url
        second = headwater("start", *FLAGS, "--set", "storage.url=memory:", cwd=project)
        assert second.returncode == 2
        assert (
            f"ALREADY_RUNNING A server runs for {project} already: process {server.process.pid}."
            in second.stderr
        )
        assert bill(project)["dead"] == 0


def test_a_command_finds_its_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with serving("start", *FLAGS, cwd=project) as server:
        assert server.url
        assert "Bill" in run(project / "steps", "queue", "list")
        assert "Bill" in run(elsewhere, "queue", "list", "--project", str(project))
        above = headwater("queue", "list", cwd=project.parent)
        assert above.returncode == 2
        assert f"This folder is no project; servers run in {project.name}." in above.stderr
        assert f"--project {project.name}" in above.stderr
    lost = headwater("queue", "list", cwd=elsewhere)
    assert lost.returncode == 2
    assert "This folder is no project." in lost.stderr


def test_what_is_wrong_is_told_without_a_traceback(project: Path) -> None:
    with serving("start", *FLAGS, cwd=project) as server:
        assert server.url
        for words, code in {
            ("emit", "bill", "{"): "INVALID_INPUT",
            ("queue", "pause", "Bil"): "STEP_UNKNOWN",
            ("queue", "show", "x"): "JOB_UNKNOWN",
            ("queue", "retry", "x"): "JOB_UNKNOWN",
            ("queue", "retry"): "INVALID_INPUT",
            ("cancel", "x"): "RUN_UNKNOWN",
            ("queue", "dead", "--limit", "0"): "INVALID_INPUT",
        }.items():
            refused = headwater(*words, cwd=project)
            assert refused.returncode in (1, 2)
            assert f"error {code} " in refused.stderr
            assert "Traceback" not in refused.stderr
        run(project, "emit", "bill", '{"bad": true}')
        until(lambda: bill(project)["dead"])
        asked = headwater("queue", "purge", cwd=project)
        assert "This throws 1 event of" in asked.stderr
        assert bill(project)["dead"] == 1
