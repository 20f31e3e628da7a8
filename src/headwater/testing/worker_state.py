"""Worker conformance: calls to state, and the values that it gives."""

from __future__ import annotations

from typing import Any

import orjson

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.testing.worker_driver import WorkerDriver, body_of
from headwater.testing.worker_scenario import scenario


class StandInState:
    """State in a dict, enough to answer the calls of a worker. Values whose key is "refuse" are refused."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {}

    def answer(self, message: Message) -> Message:
        """The `result` of a call."""
        header = message.header
        if header.get("item") == "refuse":
            error = {"code": "CONFLICT", "message": "The item is at version 3.", "version": 3}
            return protocol.failure(header["id"], error)
        value = self._do(header, orjson.loads(message.sections[0]) if message.sections else None)
        return protocol.call_result(header["id"], None if value is None else orjson.dumps(value), [])

    def _do(self, header: dict[str, Any], data: Any) -> Any:
        if header["method"] == "groups":
            return sorted(name for name in self.groups if name > header.get("after", ""))
        group, key = self.groups.setdefault(header["group"], {}), header.get("item", "")
        match header["method"]:
            case "get":
                return group.get(key)
            case "get_group":
                return list(group.values())
            case "list":
                return [{"key": key, "value": value} for key, value in group.items()]
            case "delete":
                return group.pop(key, None)
            case "clear":
                self.groups.pop(header["group"])
                return None
            case "update":
                group[key] = group.get(key, 0) + data[0]["by"]
            case _:
                group[key] = data
        return group[key]


def _remember(worker: WorkerDriver, calls: list[Any]) -> list[Any]:
    worker.services["state"] = StandInState().answer
    return body_of(worker.run_step("Remember", calls))


@scenario("offers every method of state in both spellings, and gives values as they are")
def _methods(worker: WorkerDriver) -> None:
    add = [{"type": "increment", "path": "", "by": 2}]
    answers = _remember(
        worker,
        [
            ["get", ["g", "a"], {}],
            ["set", ["g", "a", {"n": 1, "id": "x"}], {}],
            ["get", ["g", "a"], {}],
            ["set", ["g", "b", [False, None]], {}],
            ["getGroup", ["g"], {}],
            ["get_group", ["g"], {}],
            ["list", ["g"], {}],
            ["list", [], {}],
            ["update", ["g", "n", add], {}],
            ["update", ["g", "n", add], {}],
            ["delete", ["g", "b"], {}],
            ["delete", ["g", "b"], {}],
            ["clear", ["g"], {}],
            ["list", [], {}],
        ],
    )
    kept, listed = {"n": 1, "id": "x"}, [{"n": 1, "id": "x"}, [False, None]]
    entries = [{"key": "a", "value": kept}, {"key": "b", "value": [False, None]}]
    assert [answer.get("value") for answer in answers] == [
        None, kept, kept, [False, None], listed, listed, entries, ["g"], 2, 4, [False, None], None, None, [],
    ]  # fmt: skip
    assert {call.header["service"] for call in worker.of_type("call")} == {"state"}


@scenario("keeps any JSON value in state, those too that count for nothing")
def _values(worker: WorkerDriver) -> None:
    values: list[Any] = [None, False, 0, "", [], {}, {"data": {"data": 1}}, "ü", 1.5]
    calls: list[Any] = []
    for number, value in enumerate(values):
        calls += [["set", ["g", str(number), value], {}], ["get", ["g", str(number)], {}]]
    answers = [answer["value"] for answer in _remember(worker, calls)]
    assert answers == [value for value in values for _ in range(2)]
    assert [type(answer) for answer in answers] == [type(value) for value in values for _ in range(2)]


@scenario("passes the terms of a write of state on, and raises the server's refusal with its code")
def _terms(worker: WorkerDriver) -> None:
    answers = _remember(
        worker,
        [
            ["set", ["g", "a", 1], {"ifVersion": 0, "ttl": 5, "writeKey": "once"}],
            ["update", ["g", "a", [{"type": "increment", "by": 1}]], {"writeKey": "twice"}],
            ["delete", ["g", "refuse"], {"ifVersion": 2}],
            ["list", [], {"after": "f", "limit": 10}],
            ["set", ["g", None, 1], {}],
        ],
    )
    assert [answer.get("error") for answer in answers] == [None, None, "CONFLICT", None, "INVALID_INPUT"]
    sent = [call.header for call in worker.of_type("call")]
    terms = [{name: call[name] for name in ("if_version", "ttl", "key") if name in call} for call in sent]
    assert terms == [{"if_version": 0, "ttl": 5, "key": "once"}, {"key": "twice"}, {"if_version": 2}, {}]
    assert (sent[3]["after"], sent[3]["limit"], answers[3]["value"]) == ("f", 10, ["g"])
