"""Worker conformance: api and access invocations, and what `ctx` offers beside streams."""

from __future__ import annotations

import time
from typing import Any

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.testing.worker_driver import WorkerDriver, body_of
from headwater.testing.worker_scenario import scenario

# --- api invocations ---


@scenario("says started, then exactly one result")
def _started_then_result(worker: WorkerDriver) -> None:
    number = worker.call_step("Wait", {"seconds": 0})
    worker.wait_for("result", number)
    worker.send(protocol.ping(1))
    worker.wait_for("pong")
    types = [message.type for message in worker.seen if message.header.get("id") == number]
    assert types == ["started", "result"]


@scenario("gives the handler a request with a parsed JSON body and the raw text")
def _request_json(worker: WorkerDriver) -> None:
    members = {"pathParams": {"id": "1"}, "queryParams": {"q": ["a", "b"]}, "headers": {"x-a": "é"}}
    answer = body_of(worker.run_step("Echo", raw=b'{"a": 1}', request=members))
    assert answer["request"] == {**members, "body": {"a": 1}, "rawBody": '{"a": 1}'}
    assert answer["members"] == ["auth", "body", "headers", "pathParams", "queryParams", "rawBody"]


@scenario("gives an empty object as body when there is none")
def _request_none(worker: WorkerDriver) -> None:
    answer = body_of(worker.run_step("Echo", raw=b"", body_kind="none"))
    assert answer["request"]["body"] == {}
    assert answer["request"]["rawBody"] == ""


@scenario("gives a text body as text, or as bytes where it is not UTF-8")
def _request_text(worker: WorkerDriver) -> None:
    answer = body_of(worker.run_step("Echo", raw="grüße".encode(), body_kind="text"))
    assert answer["request"]["body"] == "grüße"
    answer = body_of(worker.run_step("Echo", raw=b"\xff\xfe", body_kind="text"))
    assert answer["kinds"] == {"raw": "bytes", "body": "bytes"}


@scenario("gives a parsed form as it was sent")
def _request_inline(worker: WorkerDriver) -> None:
    answer = body_of(
        worker.run_step("Echo", raw=b"a=1&a=2", body_kind="inline", request={"body": {"a": ["1", "2"]}})
    )
    assert answer["request"]["body"] == {"a": ["1", "2"]}
    assert answer["request"]["rawBody"] == "a=1&a=2"


@scenario("runs middleware in order around the handler, sharing one request")
def _middleware(worker: WorkerDriver) -> None:
    result = worker.run_step("Wrap", {})
    assert body_of(result) == {"trail": ["outer", "inner"], "live": True}
    assert result.header["headers"] == {"x-outer": "after"}


@scenario("lets a middleware answer instead of the handler")
def _middleware_stops(worker: WorkerDriver) -> None:
    result = worker.run_step("Wrap", {"stop": True})
    assert result.header["status"] == 403
    assert body_of(result) == ["outer", "inner"]


@scenario("answers text, bytes, JSON, null and no body each as what they are")
def _bodies(worker: WorkerDriver) -> None:
    found = {}
    for kind in ("text", "bytes", "json", "null", "none"):
        result = worker.run_step("Reply", {"kind": kind})
        found[kind] = (result.header["body_kind"], bytes(result.sections[0]))
    assert found["text"] == ("text", b"hello")
    assert found["bytes"] == ("bytes", b"\x00\xff")
    assert found["json"][0] == "json"
    assert found["null"] == ("json", b"null")
    assert found["none"] == ("none", b"")
    assert body_of(worker.run_step("Reply", {"kind": "json"})) == {"a": [1, "é", None, True]}


@scenario("answers headers, also repeated ones")
def _headers(worker: WorkerDriver) -> None:
    header = worker.run_step("Reply", {"kind": "headers"}).header
    assert header["status"] == 302
    assert header["headers"] == {"Location": "/x", "Set-Cookie": ["a=1", "b=2"]}


@scenario("takes a status that is written as text")
def _text_status(worker: WorkerDriver) -> None:
    assert worker.run_step("Reply", {"kind": "text status"}).header["status"] == 200


@scenario("says what is wrong with an answer that is no response")
def _bad_responses(worker: WorkerDriver) -> None:
    expected = {
        "nothing": "nothing",
        "text as response": "instead of a response",
        "no status": "status",
        "status 99": "99",
        "status 600": "600",
        "bad header name": "a b",
        "line break in header": "x-a",
        "object in header": "x-a",
        "function in body": "body.deep[0]",
    }
    for kind, said in expected.items():
        header = worker.run_step("Reply", {"kind": kind}).header
        assert not header["ok"], kind
        assert header["error"]["code"] == "HANDLER_FAILED", kind
        assert said in header["error"]["message"], (kind, header["error"])


@scenario("answers a failed handler with its traceback, and keeps the cause out of the message")
def _raises(worker: WorkerDriver) -> None:
    error = worker.run_step("Raise", {}).header["error"]
    assert error["code"] == "HANDLER_FAILED"
    assert "kaboom" not in error["message"]
    assert "kaboom" in error["traceback"]
    assert "trouble" in error["traceback"]
    assert "headwater" not in error["traceback"]


@scenario("answers an invocation of what is not declared with an error, and goes on")
def _undeclared(worker: WorkerDriver) -> None:
    task = protocol.Task(900, "steps/nowhere", "Nowhere", "t")
    worker.send(protocol.invoke(task, "api", {"request": {"body_kind": "none"}}, (b"",)))
    assert worker.wait_for("result", 900).header["error"]["code"] == "INVALID_INPUT"
    assert worker.run_step("Echo", {}).header["ok"]


@scenario("answers an invocation of a kind that it does not know with an error, and goes on")
def _unknown_kind(worker: WorkerDriver) -> None:
    task = protocol.Task(900, worker.file_of("Echo"), "Echo", "t")
    for number, thread in ((900, False), (901, True)):
        worker.send(protocol.invoke(task._replace(id=number, thread=thread), "surprise", {}))
        error = worker.wait_for("result", number).header["error"]
        assert error["code"] == "NOT_SUPPORTED_YET"
        assert "surprise" in error["message"]
    assert worker.run_step("Echo", {}).header["ok"]


@scenario("runs many invocations at the same time")
def _concurrent(worker: WorkerDriver) -> None:
    numbers = {worker.call_step("Wait", {"seconds": 0.3}) for _ in range(50)}
    begun = time.monotonic()
    worker.wait_for_all("result", numbers)
    assert time.monotonic() - begun < 10


# --- what ctx offers ---


@scenario("gives trace and flows, and refuses an unknown stream with the nearest name")
def _context(worker: WorkerDriver) -> None:
    worker.send(protocol.streams(["chat", "other"]))
    result = worker.run_step("Context", {})
    answer = body_of(result)
    assert answer["trace"] == f"trace-{result.header['id']}"
    assert answer["flows"] == ["main"]
    assert answer["unknown"]["code"] == "STREAM_UNKNOWN"
    assert '"chat"' in answer["unknown"]["text"]


@scenario("emits events, and keeps to itself what makes no sense")
def _emits(worker: WorkerDriver) -> None:
    answer = body_of(worker.run_step("Emit", {}))
    given = {"runs": {"Taker": "run-2"}, "repeated": True}
    misused = answer.pop("misused")
    assert '"order.placed", "data": ...' in misused or "topic: 'order.placed', data: ..." in misused
    assert answer == {"given": given, "codes": ["INVALID_INPUT"] * 5}
    assert worker.events.emitted == [
        {"topic": "unawaited", "data": {"n": 1}},
        {"topic": "t", "data": [1], "group": "g", "delay": 1.5, "key": "k"},
        {"topic": "empty", "data": None, "unknown": "delya"},
    ]


# --- events and cron ---


@scenario("runs event steps with their data, run and attempt, whatever they return")
def _event(worker: WorkerDriver) -> None:
    result = worker.run_work("OnEvent", "event", data={"n": [1, "ü"]}, attempt=3)
    assert result.header["ok"]
    seen = worker.streams.groups["chat", "g"]["seen"][0]
    expected = {"input": {"n": [1, "ü"]}, "attempt": 3, "run": f"run-{result.header['id']}"}
    assert {name: seen[name] for name in expected} == expected


@scenario("answers a failed event with its traceback")
def _failed_event(worker: WorkerDriver) -> None:
    error = worker.run_work("OnEvent", "event", data="fail").header["error"]
    assert error["code"] == "HANDLER_FAILED"
    assert "kaboom" in error["traceback"]


@scenario("runs cron steps with ctx alone")
def _cron(worker: WorkerDriver) -> None:
    result = worker.run_work("OnTime", "cron")
    assert result.header["ok"]
    assert worker.streams.groups["chat", "g"]["time"][0]["run"] == f"run-{result.header['id']}"


@scenario("sends log lines with level, fields, trace and step")
def _logs(worker: WorkerDriver) -> None:
    number = worker.call_step("Log", {})
    worker.wait_for("result", number)
    lines = [line.header for line in worker.of_type("log")]
    assert [line["level"] for line in lines] == ["debug", "info", "warn", "error"]
    assert lines[1]["message"] == "an info line"
    assert lines[1]["fields"]["number"] == 1
    assert isinstance(lines[1]["fields"]["odd"], str | dict)
    assert lines[3]["fields"]["nested"] == {"a": [1]}
    for line in lines:
        assert (line["trace"], line["step"], line["invocation"]) == (f"trace-{number}", "Log", number)


# --- access ---


@scenario("allows only what the access function answers with exactly true", project="access")
def _access(worker: WorkerDriver) -> None:
    auth = {"user": "ada"}
    assert worker.ask_access("closed", group="ada", auth=auth).header["allowed"] is True
    assert worker.ask_access("closed", group="bob", auth=auth).header["allowed"] is False
    assert worker.ask_access("closed", group="ada", item="private", auth=auth).header["allowed"] is False
    assert worker.ask_access("closed", group="truthy", auth=auth).header["allowed"] is False


@scenario("asks a stream's own function who may write, with the change", project="access")
def _can_write(worker: WorkerDriver) -> None:
    def asked(group: str = "g", **more: Any) -> Message:
        new = {"id": "a", "by": "ada"}
        change = {"groupId": group, "id": "a", "type": "set", "old": None, "new": new, **more}
        auth = {"user": "ada"}
        return worker.ask_access("ruled", group=group, item="a", auth=auth, kind="can_write", change=change)

    assert asked().header["allowed"] is True
    assert asked(old={"id": "a"}).header["allowed"] is False
    assert "returned" not in asked(old={"id": "a"}).header


@scenario("names what an access function gives that is neither true nor false", project="access")
def _neither(worker: WorkerDriver) -> None:
    def returned(group: str) -> object:
        change = {"groupId": group, "id": "a", "type": "set", "old": None, "new": {"id": "a"}}
        header = worker.ask_access("ruled", group=group, item="a", kind="can_write", change=change).header
        assert header["allowed"] is False
        return header["returned"]

    assert returned("nothing") == "nothing"
    assert str(returned("truthy")).startswith("a value of type ")


@scenario("asks a stream's own function who may send and who may cancel", project="access")
def _can_send(worker: WorkerDriver) -> None:
    event = {"groupId": "g", "id": None, "event": {"type": "seen", "data": "ada"}}
    for auth in ("ada", "bob"):
        header = worker.ask_access("sent", group="g", auth=auth, kind="can_send", change=event).header
        assert header["allowed"] is (auth == "ada")
    for item in ("a", "b"):
        header = worker.ask_access("ruled", group="g", item=item, kind="can_cancel").header
        assert header["allowed"] is (item == "a")


@scenario("refuses to ask a function that a stream does not have", project="access")
def _no_function(worker: WorkerDriver) -> None:
    for stream, kind in (("open", "can_write"), ("ruled", "can_delete"), ("ruled", "can_send")):
        header = worker.ask_access(stream, group="g", item="a", kind=kind, change={}).header
        assert header["error"]["code"] == "INVALID_INPUT"


@scenario("answers an access function that raises with an error", project="access")
def _access_raises(worker: WorkerDriver) -> None:
    header = worker.ask_access("closed", group="boom", auth={"user": "boom"}).header
    assert not header["ok"]
    assert header["error"]["code"] == "HANDLER_FAILED"
