"""Worker conformance: `ctx.progress`, which writes how far a loop has come into an item."""

from __future__ import annotations

from typing import Any

import orjson

from headwater.testing.worker_driver import WorkerDriver, body_of
from headwater.testing.worker_scenario import scenario


def _written(worker: WorkerDriver) -> list[dict[str, Any]]:
    """The values that were written, in order."""
    calls = [call for call in worker.of_type("call") if call.header["method"] == "update"]
    assert all((call.header["group"], call.header["item"]) == ("jobs", "a") for call in calls)
    operations = [orjson.loads(call.sections[0]) for call in calls]
    assert all([(one["type"], one["path"]) for one in each] == [("set", "progress")] for each in operations)
    return [one["value"] for each in operations for one in each]


@scenario("writes the progress of a loop into the field `progress` of an item, first and last")
def _awaited(worker: WorkerDriver) -> None:
    result = worker.run_step("Progress", {"way": "awaited", "items": [1, 2, 3]})
    assert body_of(result) == [1, 2, 3]
    written = _written(worker)
    assert written[0] == {"done": 0, "total": 3, "percent": 0, "rate": None, "eta": None}
    assert (written[-1]["done"], written[-1]["percent"], written[-1]["eta"]) == (3, 100, 0)
    assert written[-1]["rate"] > 0
    assert worker.streams.groups["chat", "jobs"]["a"][0]["n"] == 1


@scenario("writes the progress of a loop that does not await, before the invocation ends")
def _plain(worker: WorkerDriver) -> None:
    result = worker.run_step("Progress", {"way": "plain", "items": [1, 2, 3]})
    assert body_of(result) == [1, 2, 3]
    assert [_written(worker)[at]["done"] for at in (0, -1)] == [0, 3]


@scenario("writes how far a loop has come that fails, before the invocation ends")
def _failing(worker: WorkerDriver) -> None:
    result = worker.run_step("Progress", {"way": "awaited", "items": [1, None, 3]})
    assert not result.header["ok"]
    assert _written(worker)[-1]["done"] == 1
    assert "an element that is none" in result.header["error"]["traceback"]
