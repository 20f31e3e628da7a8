"""Worker conformance: frames, the life of the process, the manifest."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import PATIENCE, WorkerDriver, text_of
from headwater.testing.worker_scenario import scenario

# --- frames and life ---


@scenario("says hello first, with its language and process", project="")
def _hello(worker: WorkerDriver) -> None:
    header = worker.seen[0].header
    assert worker.seen[0].type == "hello"
    assert header["language"]
    assert header["language_version"]
    assert header["pid"] == worker.process.pid


@scenario("ends at end of file before it has loaded anything", project="")
def _end_unloaded(worker: WorkerDriver) -> None:
    worker.close_socket()
    worker.process.wait(PATIENCE)


@scenario("ends at end of file while it is idle")
def _end_idle(worker: WorkerDriver) -> None:
    worker.close_socket()
    worker.process.wait(PATIENCE)


@scenario("ends at end of file at once, also while user code blocks")
def _end_blocked(worker: WorkerDriver) -> None:
    worker.wait_for("started", worker.call_step("Block", {"times": 1, "seconds": 60}))
    worker.close_socket()
    worker.process.wait(PATIENCE)


@scenario("ends when a frame is above the limit", environment={protocol.LIMIT_VARIABLE: "100000"})
def _end_large_frame(worker: WorkerDriver) -> None:
    worker.send_bytes((200_000).to_bytes(4, "big"))
    _ends(worker)


@scenario("ends when a frame's header is no JSON object")
def _end_no_object(worker: WorkerDriver) -> None:
    worker.send_bytes(b"\x00\x00\x00\x06\x00\x00\x00\x02[]")
    _ends(worker)


@scenario("ends when a message has an unknown type")
def _end_unknown_type(worker: WorkerDriver) -> None:
    worker.send(protocol.Message({"t": "surprise"}))
    _ends(worker)


@scenario("ends when section lengths do not add up")
def _end_sections(worker: WorkerDriver) -> None:
    head = b'{"t":"ping","n":1,"sections":[9]}'
    worker.send_bytes((4 + len(head)).to_bytes(4, "big") + len(head).to_bytes(4, "big") + head)
    _ends(worker)


def _ends(worker: WorkerDriver) -> None:
    while worker.read() is not None:
        pass
    worker.process.wait(PATIENCE)


@scenario("reads frames that arrive byte by byte, and several at once")
def _split_frames(worker: WorkerDriver) -> None:
    frame = b"".join(protocol.encode(protocol.ping(1)))
    for index in range(len(frame)):
        worker.send_bytes(frame[index : index + 1])
    worker.wait_for("pong", n=1)
    worker.send_bytes(b"".join(b"".join(protocol.encode(protocol.ping(number))) for number in (2, 3)))
    worker.wait_for("pong", n=2)
    worker.wait_for("pong", n=3)


@scenario("ignores members that it does not know")
def _unknown_member(worker: WorkerDriver) -> None:
    worker.send(protocol.Message({"t": "ping", "n": 7, "color": "blue"}))
    worker.wait_for("pong", n=7)


@scenario("does not end at an interrupt: the terminal sends it to the whole group")
def _interrupt(worker: WorkerDriver) -> None:
    worker.process.send_signal(signal.SIGINT)
    worker.send(protocol.ping(1))
    worker.wait_for("pong", n=1)


@scenario("ends by itself when drained and idle")
def _drain_idle(worker: WorkerDriver) -> None:
    worker.send(protocol.drain())
    assert worker.process.wait(PATIENCE) == 0


@scenario("drained, finishes what runs before it ends")
def _drain_running(worker: WorkerDriver) -> None:
    number = worker.call_step("Wait", {"seconds": 0.2})
    worker.wait_for("started", number)
    worker.send(protocol.drain())
    assert worker.wait_for("result", number).header["ok"]
    assert worker.process.wait(PATIENCE) == 0


@scenario("drained with time to linger, ends at once when nothing was left running")
def _linger_idle(worker: WorkerDriver) -> None:
    worker.run_step("Echo", {})
    worker.send(protocol.drain(linger=60.0))
    assert worker.process.wait(PATIENCE) == 0


@scenario("drained with time to linger, waits for what an invocation left running")
def _linger(worker: WorkerDriver) -> None:
    worker.wait_for("result", worker.call_step("Late", {"n": 1, "seconds": 1.0}))
    worker.send(protocol.drain(linger=60.0))
    assert worker.wait_for("call").header["invocation"] is None
    while not any(line.header["message"] == "written late" for line in worker.of_type("log")):
        worker.wait_for("log")
    assert worker.process.wait(PATIENCE) == 0
    assert not _told(worker)


@scenario("tells what it ends when that goes on for longer than it may linger")
def _linger_too_long(worker: WorkerDriver) -> None:
    worker.wait_for("result", worker.call_step("Late", {"n": 1, "seconds": 60.0}))
    worker.send(protocol.drain(linger=0.2))
    worker.process.wait(PATIENCE)
    while worker.read() is not None:
        pass
    assert len(_told(worker)) == 1


@scenario("told to end, does so at once and tells which invocations it ends")
def _end_now(worker: WorkerDriver) -> None:
    number = worker.call_step("Wait", {"seconds": 60})
    worker.wait_for("started", number)
    worker.send(protocol.ping(1))
    worker.wait_for("pong")
    worker.send(protocol.end())
    worker.process.wait(PATIENCE)
    while worker.read() is not None:
        pass
    assert [line["step"] for line in _told(worker)] == ["Wait"]
    assert worker.of_type("result") == []


def _told(worker: WorkerDriver) -> list[dict[str, Any]]:
    """The log lines about what was ended."""
    lines = [line.header for line in worker.of_type("log")]
    return [line for line in lines if "ended with its worker" in line["message"]]


@scenario("leaves standard output to user code")
def _output(worker: WorkerDriver) -> None:
    worker.run_step("Log")
    worker.send(protocol.drain())
    assert "printed by the step\n" in worker.output()


# --- manifest ---


@scenario("reports steps with their config, kind of handler and middleware")
def _manifest_steps(worker: WorkerDriver) -> None:
    steps = {step["config"]["name"]: step for step in worker.manifest.header["steps"]}
    assert worker.manifest.header["generation"] == 1
    wrap = steps["Wrap"]
    assert wrap["type"] == "api"
    assert wrap["config"]["path"] == "/wrap"
    assert "middleware" not in wrap["config"]
    assert wrap["middleware"] == 2
    assert wrap["async"] is True
    assert steps["Echo"]["middleware"] == 0
    assert steps["Notes"]["type"] == "noop"
    assert worker.manifest.header["problems"] == []


@scenario("reports streams and which have an access function", project="access")
def _manifest_streams(worker: WorkerDriver) -> None:
    streams = {stream["config"]["name"]: stream["access"] for stream in worker.manifest.header["streams"]}
    assert streams == {"open": False, "closed": True, "ruled": False, "sent": False}


@scenario("reports what each stream says about who may do what", project="access")
def _manifest_rules(worker: WorkerDriver) -> None:
    rules = {stream["config"]["name"]: stream["rules"] for stream in worker.manifest.header["streams"]}
    assert rules == {
        "open": {},
        "closed": {"read": "rule"},
        "ruled": {"write": "rule", "delete": "open", "send": "nobody", "cancel": "rule"},
        "sent": {"send": "rule"},
    }


@scenario("reports each broken file by itself, and serves the others", project="broken")
def _manifest_problems(worker: WorkerDriver) -> None:
    problems = {Path(problem["involved"][0]).name: problem for problem in worker.manifest.header["problems"]}
    codes = {
        name.partition(".")[0].removesuffix("_step"): problem["code"] for name, problem in problems.items()
    }
    assert codes == {
        "syntax": "SYNTAX_ERROR",
        "imports": "IMPORT_FAILED",
        "absent": "IMPORT_FAILED",
        "exits": "IMPORT_FAILED",
        "no_config": "CONFIG_MISSING",
        "no_handler": "HANDLER_MISSING",
        "not_json": "CONFIG_NOT_JSON",
        "broken_stream": "IMPORT_FAILED",
    }
    assert text_of(worker.run_step("Fine")) == "fine"


@scenario("says in which file and line a fault is, and which files led there", project="broken")
def _manifest_places(worker: WorkerDriver) -> None:
    problems = {Path(problem["involved"][0]).stem: problem for problem in worker.manifest.header["problems"]}
    syntax = next(problem for name, problem in problems.items() if name.startswith("syntax"))
    assert syntax["file"] == syntax["involved"][0]
    assert syntax["line"] == 4
    imports = next(problem for name, problem in problems.items() if name.startswith("imports"))
    assert Path(imports["file"]).stem == "thrower"
    assert imports["line"] == 2
    assert [Path(path).stem.partition("_")[0].partition(".")[0] for path in imports["involved"]] == [
        "imports",
        "thrower",
    ]
    assert "thrower" in imports["traceback"]
