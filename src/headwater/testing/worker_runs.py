"""Worker conformance: what a handler may do with its run. Kept steps, claimed items, being stopped."""

from __future__ import annotations

from typing import Any

import orjson

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.testing.worker_driver import WorkerDriver
from headwater.testing.worker_scenario import scenario


class StandInRuns:
    """Keeps what runs keep, and notes what they claim."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.owned: list[tuple[str, str, str]] = []

    def answer(self, message: Message) -> Message:
        """The `result` of a call."""
        header: dict[str, Any] = message.header
        value: bytes | None = None
        match header["method"]:
            case "keep":
                self.kept[header["name"]] = bytes(message.sections[0])
            case "kept":
                self.asked.append(header["name"])
                found = self.kept.get(header["name"])
                value = None if found is None else b'{"id":"","value":%b}' % found
            case _:
                self.owned.append((header["stream"], header["group"], header["item"]))
        return protocol.call_result(header["id"], value)


def _with_runs(worker: WorkerDriver) -> StandInRuns:
    runs = StandInRuns()
    worker.services["runs"] = runs.answer
    return runs


def _seen(worker: WorkerDriver) -> dict[str, Any]:
    return {
        name: value for name, value in worker.streams.groups["chat", "g"]["seen"][0].items() if name != "id"
    }


@scenario("keeps the result of each step of a run, and asks for none at its first attempt")
def _keeps(worker: WorkerDriver) -> None:
    runs = _with_runs(worker)
    assert worker.run_work("Run", "event", data={"do": "steps"}).header["ok"]
    first = _seen(worker)
    assert first["plain"] == [1, 2]
    assert {name: orjson.loads(text) for name, text in runs.kept.items()} == {
        "costly#1": first["first"],
        "costly#2": first["second"],
        "plain#1": [1, 2],
    }
    assert runs.asked == []


@scenario("does what an earlier attempt has kept not again")
def _resumes(worker: WorkerDriver) -> None:
    runs = _with_runs(worker)
    runs.kept = {"costly#1": b'{"n":70}', "plain#1": b"null"}
    assert worker.run_work("Run", "event", data={"do": "steps"}, attempt=2, resumed=True).header["ok"]
    seen = _seen(worker)
    assert seen["first"] == {"n": 70}
    assert seen["plain"] is None
    assert orjson.loads(runs.kept["costly#2"]) == seen["second"]


@scenario("refuses two uses of one step at the same time")
def _clashes(worker: WorkerDriver) -> None:
    _with_runs(worker)
    assert worker.run_work("Run", "event", data={"do": "clash"}).header["ok"]
    assert _seen(worker) == {"code": "INVALID_INPUT"}


@scenario("claims an item of a stream, and nothing else")
def _owns(worker: WorkerDriver) -> None:
    runs = _with_runs(worker)
    assert worker.run_work("Run", "event", data={"do": "owns"}).header["ok"]
    assert runs.owned == [("chat", "g", "mine")]
    assert _seen(worker) == {"code": "INVALID_INPUT"}


@scenario("tells a handler that its run is cancelled, and lets it write that down")
def _cancelled(worker: WorkerDriver) -> None:
    number = worker.begin_work("Run", "event", data={"do": "cancel"})
    worker.wait_until(lambda message: message.type == "call" and message.header.get("item") == "waits")
    worker.send(protocol.cancel(number, 5.0))
    assert worker.wait_for("result", number).header["error"]["cancelled"] is True
    assert _seen(worker) == {"cancelled": True}
