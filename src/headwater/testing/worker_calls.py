"""Worker conformance: calls to streams, and the values that travel."""

from __future__ import annotations

from headwater.protocol.workers import messages as protocol
from headwater.testing.worker_driver import WorkerDriver, body_of
from headwater.testing.worker_scenario import scenario

# --- calls ---


@scenario("gives the item that a set stored, as data plus id, and names it beside the answer")
def _set(worker: WorkerDriver) -> None:
    result = worker.run_step("Save", {"id": "a", "text": "hi"})
    assert body_of(result) == {"id": "a", "text": "hi"}
    assert result.header["items"] == [["chat", "general", "a", 1]]
    call = worker.of_type("call")[0].header
    assert call["invocation"] == result.header["id"]
    assert (call["service"], call["method"]) == ("streams", "set")


@scenario("names at most 16 items of an answer, also nested ones")
def _items(worker: WorkerDriver) -> None:
    items = worker.run_step("Nested", {}).header["items"]
    assert len(items) == 16
    assert items[0] == ["chat", "g/1", "0", 1]
    assert {item[2] for item in items} <= {str(number) for number in range(20)}


@scenario("offers every method of streams in both spellings, with versions")
def _methods(worker: WorkerDriver) -> None:
    answers = body_of(
        worker.run_step(
            "Operate",
            [
                ["get", ["g", "1"], {}],
                ["set", ["g", "1", {"n": 1}], {}],
                ["set", ["g", "2", {"n": 2}], {}],
                ["get", ["g", "1"], {}],
                ["getGroup", ["g"], {}],
                ["get_group", ["g"], {}],
                ["update", ["g", "1", [{"type": "set", "path": "n", "value": 5}]], {}],
                ["send", [{"groupId": "g"}, {"type": "typing", "data": {"by": "ada"}}], {}],
                ["send", [{"groupId": "g", "id": "1"}, {"type": "typing", "data": None}], {}],
                ["delete", ["g", "2"], {}],
                ["delete", ["g", "2"], {}],
            ],
        )
    )
    group = [{"id": "1", "n": 1}, {"id": "2", "n": 2}]
    assert [answer["value"] for answer in answers] == [
        None,
        {"id": "1", "n": 1},
        {"id": "2", "n": 2},
        {"id": "1", "n": 1},
        group,
        group,
        {"id": "1", "n": 5},
        None,
        None,
        {"id": "2", "n": 2},
        None,
    ]
    assert [answers[index]["version"] for index in (1, 2, 3, 6)] == [1, 2, 1, 3]
    assert worker.streams.events == [
        ("chat", "g", None, {"type": "typing", "data": {"by": "ada"}}),
        ("chat", "g", "1", {"type": "typing", "data": None}),
    ]


@scenario("takes a group away from a user and gives it back, and refuses what is no user itself")
def _revoke(worker: WorkerDriver) -> None:
    answers = body_of(
        worker.run_step(
            "Operate",
            [
                ["revoke", ["g", "ada"], {}],
                ["restore", ["g", 7], {}],
                ["revoke", ["g", None], {}],
                ["revoke", [None, "ada"], {}],
            ],
        )
    )
    assert [answer.get("value", answer.get("error")) for answer in answers] == [
        None,
        None,
        "INVALID_INPUT",
        "INVALID_INPUT",
    ]
    assert worker.streams.revoked == [("revoke", "chat", "g", "ada"), ("restore", "chat", "g", "7")]


@scenario("passes the expected version on, and raises the server's refusal with its code")
def _if_version(worker: WorkerDriver) -> None:
    answers = body_of(
        worker.run_step(
            "Operate",
            [
                ["set", ["g", "1", {"n": 1}], {"ifVersion": 0}],
                ["set", ["g", "1", {"n": 2}], {"ifVersion": 0}],
                ["delete", ["g", "1"], {"ifVersion": 1}],
                ["set", ["g", "1", {"refuse": True}], {}],
            ],
        )
    )
    assert [answer.get("error") for answer in answers] == [None, "CONFLICT", None, "SCHEMA_MISMATCH"]


@scenario("takes an item that it gave back in again, without the old framework's key")
def _set_again(worker: WorkerDriver) -> None:
    worker.run_step("Operate", [["set", ["g", "1", {"id": "other", "n": 1, "__motia": {"x": 1}}], {}]])
    assert worker.streams.groups["chat", "g"]["1"][0] == {"id": "1", "n": 1}


@scenario("settles the open calls of an invocation before its result")
def _settle_first(worker: WorkerDriver) -> None:
    worker.answering = False
    number = worker.call_step("Begin", {"items": [{"id": "1"}, {"id": "2"}]})
    calls = [worker.wait_for("call"), worker.wait_for("call")]
    worker.send(protocol.ping(1))
    worker.wait_for("pong")
    for call in calls:
        assert not [message for message in worker.of_type("result") if message.header["id"] == number]
        worker.send(worker.answer(call))
    assert worker.wait_for("result", number).header["ok"]


@scenario("sends calls that nobody awaits in the order in which they were made")
def _in_order(worker: WorkerDriver) -> None:
    worker.run_step("Begin", {"items": [{"id": str(number)} for number in range(300)]})
    assert [call.header["item"] for call in worker.of_type("call")] == [str(number) for number in range(300)]


@scenario("logs a failed call that nobody awaited, with its place, and keeps the response")
def _failed_unawaited(worker: WorkerDriver) -> None:
    result = worker.run_step("Begin", {"items": [{"id": "1", "refuse": True}, {"id": "2"}]})
    assert result.header["ok"]
    assert bytes(result.sections[0]) == b"begun"
    lines = [line.header for line in worker.of_type("log")]
    assert [line["level"] for line in lines] == ["error"]
    assert "begin" in lines[0]["message"]
    assert lines[0]["fields"]["code"] == "SCHEMA_MISMATCH"
    assert lines[0]["step"] == "Begin"


@scenario("lets user code outlive its invocation: its calls and logs then stand alone")
def _late(worker: WorkerDriver) -> None:
    number = worker.call_step("Late", {"n": 1})
    result = worker.wait_for("result", number)
    assert result.header["status"] == 202
    call = worker.wait_for("call").header
    assert call["invocation"] is None
    assert (call["step"], call["trace"]) == ("Late", f"trace-{number}")
    log = worker.wait_for("log").header
    assert log["invocation"] is None
    assert log["message"] == "written late"


@scenario("lets calls after the result say who caused them, as the server told it")
def _late_origin(worker: WorkerDriver) -> None:
    whose = {"auth": {"user": "ada"}, "origin": {"depth": 3, "more": [1]}}
    worker.wait_for("result", worker.call_step("Late", {"n": 1, "pretend": "bob"}, whose=whose))
    call = worker.wait_for("call").header
    assert call["invocation"] is None
    assert {name: call[name] for name in whose} == whose
    worker.wait_for("result", worker.call_step("Late", {"n": 1}))
    assert not whose.keys() & worker.wait_for("call").header.keys()


# --- values ---


@scenario("turns NaN and infinities into null and lone surrogates into U+FFFD, also in names")
def _odd_values(worker: WorkerDriver) -> None:
    expected = {"nan": None, "infinity": None, "surrogate": "a\ufffdb", "pair": "\U0001f600"}
    assert body_of(worker.run_step("Odd", {})) == expected
    assert worker.streams.groups["chat", "odd\ufffd"]["1"][0] == {**expected, "id": "1"}


@scenario("refuses a value without JSON form, naming its path, and stays alive")
def _unsendable(worker: WorkerDriver) -> None:
    answer = body_of(worker.run_step("Unsendable", {}))
    assert answer["code"] == "INVALID_INPUT"
    assert "list[0].deep" in answer["message"]
    assert worker.of_type("call") == []


@scenario("carries values of many megabytes in both directions")
def _large(worker: WorkerDriver) -> None:
    text = "y" * 20_000_000
    result = worker.run_step("Save", {"id": "big", "text": text})
    assert body_of(result) == {"id": "big", "text": text}


@scenario(
    "refuses what would pass the limit on frames itself", environment={protocol.LIMIT_VARIABLE: "100000"}
)
def _too_large(worker: WorkerDriver) -> None:
    assert body_of(worker.run_step("Large", {"where": "set", "size": 200_000})) == {"code": "TOO_LARGE"}
    error = worker.run_step("Large", {"where": "response", "size": 200_000}).header["error"]
    assert error["code"] == "HANDLER_FAILED"
    assert worker.run_step("Large", {"where": "response", "size": 10}).header["ok"]
