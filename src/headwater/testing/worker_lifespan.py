"""Worker conformance: the project's lifespan.

That of the fixture fails when it is first entered and when it is left, and yields how often it was tried.
"""

from __future__ import annotations

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import PATIENCE, WorkerDriver, body_of
from headwater.testing.worker_scenario import scenario


@scenario(
    "declares no step and no problem for a lifespan, and does not enter it before it is needed", "lifespan"
)
def _declared(worker: WorkerDriver) -> None:
    assert len(worker.manifest.header["steps"]) == 1
    assert worker.manifest.header["problems"] == []
    worker.send(protocol.drain())
    assert _end(worker) == ""
    assert _lines(worker) == []


@scenario("fails what waits for a lifespan that cannot be entered, and tries it again", "lifespan")
def _failing(worker: WorkerDriver) -> None:
    numbers = [worker.call_step("App"), worker.call_step("App")]
    results = worker.wait_for_all("result", numbers)
    error = results[0].header["error"]
    assert error["code"] == "HANDLER_FAILED"
    assert "headwater_lifespan" in error["message"]
    assert "no database" not in error["message"]
    lines = _lines(worker)
    assert lines.count("opening") <= len(numbers)
    assert any("headwater_lifespan" in line and "no database" in line for line in lines)
    assert body_of(worker.run_step("App")) == {"tries": 2}


@scenario("enters a lifespan once, and tells what it yields to every invocation", "lifespan")
def _once(worker: WorkerDriver) -> None:
    worker.run_step("App")
    results = worker.wait_for_all("result", [worker.call_step("App") for _ in range(5)])
    assert [body_of(result) for result in results] == [{"tries": 2}] * 5
    assert _lines(worker).count("opening") == 2


@scenario("leaves its lifespan when it is drained, and tells what fails then", "lifespan")
def _left(worker: WorkerDriver) -> None:
    worker.run_step("App")
    worker.run_step("App")
    worker.send(protocol.drain())
    assert _end(worker) == "left\n"
    assert any("headwater_lifespan" in line and "still open" in line for line in _lines(worker))


@scenario("is not kept from its end by what a lifespan holds", "lifespan")
def _lingers(worker: WorkerDriver) -> None:
    worker.run_step("App")
    worker.run_step("App")
    worker.send(protocol.drain(linger=60.0))
    assert _end(worker) == "left\n"


@scenario("enters and leaves the lifespan of a thread of its own too", "lifespan")
def _thread(worker: WorkerDriver) -> None:
    _run_in_thread(worker)
    worker.send(protocol.drain(linger=60.0))
    assert _end(worker) == "left\n"


@scenario("leaves the lifespan of a thread of its own when it may not linger", "lifespan")
def _thread_at_once(worker: WorkerDriver) -> None:
    _run_in_thread(worker)
    worker.send(protocol.drain())
    assert _end(worker) == "left\n"


def _run_in_thread(worker: WorkerDriver) -> None:
    """Each thread has a first try of its own, which fails; which one is free, it says a little later."""
    for _ in range(50):
        result = worker.run_step("App", thread=True)
        if result.header["ok"]:
            assert body_of(result) == {"tries": 2}
            return
    raise AssertionError("no thread has entered its lifespan")


def _end(worker: WorkerDriver) -> str:
    assert worker.process.wait(PATIENCE) == 0
    while worker.read() is not None:
        pass
    return worker.output()


def _lines(worker: WorkerDriver) -> list[str]:
    return [line.header["message"] for line in worker.of_type("log")]
