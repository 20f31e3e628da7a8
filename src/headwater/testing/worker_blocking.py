"""Worker conformance: code that blocks, cancelling, back pressure. Nobody else may wait for it."""

from __future__ import annotations

import time

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import WorkerDriver, body_of
from headwater.testing.worker_scenario import scenario

SOON = 8.0
"""Seconds within which something must happen that must not wait for blocked code, which blocks longer."""

LONG = 20.0
"""Seconds for which user code blocks in scenarios that end before it does."""

# --- code that blocks ---


@scenario("a call has begun when it is made, though the code then blocks")
def _begun_at_once(worker: WorkerDriver) -> None:
    number = worker.call_step("Block", {"times": 2, "seconds": LONG})
    worker.wait_for("started", number)
    assert worker.wait_for("call", timeout=SOON).header["item"] == "0"


@scenario("calls that nobody awaits go out one by one, between which the code blocks")
def _begun_in_turn(worker: WorkerDriver) -> None:
    number = worker.call_step("Block", {"times": 3, "seconds": 0.3})
    for index in range(3):
        assert worker.wait_for("call").header["item"] == str(index)
        assert not [message for message in worker.of_type("result") if message.header["id"] == number]
    worker.wait_for("result", number)


@scenario("answers a ping only when the loop of user code is free")
def _ping_blocked(worker: WorkerDriver) -> None:
    worker.wait_for("started", worker.call_step("Block", {"times": 1, "seconds": 0.5}))
    worker.send(protocol.ping(1))
    worker.wait_for("result")
    worker.wait_for("pong", n=1)
    assert [message.type for message in worker.seen if message.type in {"result", "pong"}] == [
        "result",
        "pong",
    ]


@scenario(
    "says blocked once, at once, while the code still blocks", environment={"HEADWATER_BLOCK_AFTER": "0.05"}
)
def _says_blocked(worker: WorkerDriver) -> None:
    number = worker.call_step("Block", {"times": 1, "seconds": 0.8})
    blocked = worker.wait_for("blocked", number).header
    assert not worker.of_type("result")
    assert blocked["step"] == "Block"
    assert blocked["seconds"] >= 0.05
    worker.wait_for("result", number)
    assert len(worker.of_type("blocked")) == 1


@scenario("does not take waiting for blocking", environment={"HEADWATER_BLOCK_AFTER": "0.05"})
def _waiting(worker: WorkerDriver) -> None:
    numbers = {worker.call_step("Wait", {"seconds": 0.3}) for _ in range(5)}
    worker.wait_for_all("result", numbers)
    assert worker.of_type("blocked") == []


@scenario("gives back an invocation that has not started, also while user code blocks")
def _withdraw(worker: WorkerDriver) -> None:
    worker.wait_for("started", worker.call_step("Block", {"times": 1, "seconds": LONG}))
    number = worker.call_step("Wait", {"seconds": 0})
    worker.send(protocol.withdraw(number))
    assert worker.wait_for("withdrawn", number, timeout=SOON).header["ok"] is True


@scenario("keeps an invocation that has started, and one that has ended")
def _withdraw_late(worker: WorkerDriver) -> None:
    number = worker.call_step("Wait", {"seconds": 0.2})
    worker.wait_for("started", number)
    worker.send(protocol.withdraw(number))
    assert worker.wait_for("withdrawn", number).header["ok"] is False
    assert worker.wait_for("result", number).header["ok"]
    worker.send(protocol.withdraw(number))
    assert worker.wait_for("withdrawn", number).header["ok"] is False


@scenario("a withdrawn invocation never runs")
def _withdrawn_stays_away(worker: WorkerDriver) -> None:
    worker.wait_for("started", worker.call_step("Block", {"times": 1, "seconds": 0.4}))
    number = worker.call_step("Wait", {"seconds": 0})
    worker.send(protocol.withdraw(number))
    worker.wait_for("withdrawn", number)
    worker.wait_for("result")
    worker.run_step("Wait", {"seconds": 0})
    assert all(message.header["id"] != number for message in worker.of_type("started"))


@scenario("with lanes, blocking code marked `thread` disturbs nobody")
def _thread(worker: WorkerDriver) -> None:
    if not worker.has_lanes:
        return  # the server gives what blocks a process of its own
    blocking = [worker.call_step("Block", {"times": 2, "seconds": LONG}, thread=True) for _ in range(4)]
    worker.wait_for_all("started", blocking, timeout=SOON)
    for _ in range(5):
        assert worker.run_step("Wait", {"seconds": 0}, thread=False).header["ok"]
    worker.send(protocol.ping(1))
    worker.wait_for("pong", timeout=SOON)
    while len(worker.of_type("call")) < 4:
        worker.wait_for("call", timeout=SOON)
    assert not [message for message in worker.of_type("result") if message.header["id"] in blocking]


@scenario("marked `thread`, an invocation does all it does elsewhere")
def _thread_same(worker: WorkerDriver) -> None:
    result = worker.run_step("Save", {"id": "a"}, thread=True)
    assert result.header["items"] == [["chat", "general", "a", 1]]
    assert body_of(worker.run_step("Wrap", {}, thread=True)) == {"trail": ["outer", "inner"], "live": True}
    assert worker.run_step("Raise", {}, thread=True).header["error"]["code"] == "HANDLER_FAILED"
    late = worker.call_step("Late", {"n": 1}, thread=True)
    worker.wait_for("result", late)
    assert worker.wait_for("call").header["invocation"] is None


# --- cancelling ---


@scenario("stops a cancelled invocation that waits, and says that it was cancelled")
def _cancel(worker: WorkerDriver) -> None:
    for thread in (False, True):
        number = worker.call_step("Wait", {"seconds": LONG}, thread=thread)
        worker.wait_for("started", number)
        worker.send(protocol.cancel(number))
        error = worker.wait_for("result", number, timeout=SOON).header["error"]
        assert error["cancelled"] is True


@scenario("ends a cancelled invocation that has not started, without starting it")
def _cancel_waiting(worker: WorkerDriver) -> None:
    worker.wait_for("started", worker.call_step("Block", {"times": 1, "seconds": LONG}))
    number = worker.call_step("Wait", {"seconds": 0})
    worker.send(protocol.cancel(number))
    assert worker.wait_for("result", number, timeout=SOON).header["error"]["cancelled"] is True
    assert all(message.header["id"] != number for message in worker.of_type("started"))


@scenario("a cancelled invocation still settles the calls that it had begun")
def _cancel_settles(worker: WorkerDriver) -> None:
    worker.answering = False
    number = worker.call_step("Save", {"id": "1"})
    call = worker.wait_for("call")
    worker.send(protocol.cancel(number))
    worker.send(protocol.ping(1))
    worker.wait_for("pong")
    assert worker.of_type("result") == []
    worker.send(worker.answer(call))
    assert worker.wait_for("result", number).header["error"]["cancelled"] is True


# --- back pressure ---


@scenario(
    "keeps reading while the server does not, and takes that for nobody's blocking",
    environment={protocol.BLOCK_AFTER_VARIABLE: "0.25"},
)
def _keeps_reading(worker: WorkerDriver) -> None:
    items = [{"id": str(number), "text": "z" * 10_000} for number in range(2000)]
    number = worker.call_step("Begin", {"items": items})
    worker.wait_for("started", number)
    time.sleep(0.5)
    # The worker's writes block by now. These would fill the other direction if it did not read.
    padding = "p" * 100_000
    for filler in range(100):
        worker.send(protocol.Message({"t": "cancel", "id": 10_000_000 + filler, "padding": padding}))
    assert worker.wait_for("result", number, timeout=60.0).header["ok"]
    assert len(worker.of_type("call")) == 2000
    assert worker.of_type("blocked") == []
