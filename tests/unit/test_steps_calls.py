"""The order of the stream calls of one invocation, and that each gets exactly one answer."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from headwater.model import Item, Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.calls import OrderedCalls
from headwater.steps.services.service import Method
from headwater.steps.services.streams import stream_service
from headwater.steps.workers.intake import Intake
from support.steps_streams import DiaryStreams

ORIGIN = Origin("step", "trace")


class Caller:
    """Makes calls and keeps the answers, by the number of the call."""

    def __init__(self, streams: Any) -> None:
        self.intake = Intake(1_000_000)
        self.calls = OrderedCalls({"streams": stream_service(streams)}, self.intake)
        self.answers: dict[int, Message] = {}
        self.changed = asyncio.Event()

    def call(self, number: int, method: str, data: Any = None, **members: Any) -> None:
        header = {"t": "call", "id": number, "invocation": 1, "service": "streams", "method": method}
        header |= {"stream": "s", "group": "g"}
        sections = () if data is None else (orjson.dumps(data),)
        self.calls.take(Message(header | members, sections), ORIGIN, self._reply)

    def _reply(self, message: Message) -> None:
        assert message.header["id"] not in self.answers
        self.answers[message.header["id"]] = message
        self.changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.answers) < count:
                self.changed.clear()
                await self.changed.wait()

    def value(self, number: int) -> Any:
        text = self.answers[number].section("value_section")
        return None if text is None else orjson.loads(text)

    def error(self, number: int) -> str:
        assert self.answers[number].header["ok"] is False
        return self.answers[number].header["error"]["code"]


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def methods(streams: DiaryStreams) -> list[str]:
    return [entry.method for entry in streams.diary]


async def test_writes_begin_at_once_and_do_not_wait_for_each_other() -> None:
    streams = DiaryStreams()
    streams.hold()
    caller = Caller(streams)
    for number in range(3):
        caller.call(number, "set", {"text": number}, item=str(number))
    caller.call(3, "send", {"type": "typing", "data": 1}, item=None)
    caller.call(4, "update", [{"op": "set"}], item="0")
    caller.call(5, "delete", item="1")
    assert methods(streams) == ["set", "set", "set", "send", "update", "delete"]
    assert {entry.origin for entry in streams.diary} == {ORIGIN}
    assert caller.answers == {}
    streams.release()
    await caller.until(6)


async def test_a_read_waits_for_the_writes_before_it_and_a_write_for_the_reads_before_it() -> None:
    streams = DiaryStreams()
    streams.hold()
    caller = Caller(streams)
    caller.call(1, "set", {"text": "one"}, item="a")
    caller.call(2, "get", item="a")
    caller.call(3, "set", {"text": "two"}, item="a")
    caller.call(4, "get_group")
    await turns()
    assert methods(streams) == ["set"]
    streams.release()
    await caller.until(4)
    assert methods(streams) == ["set", "get", "set", "get_group"]
    assert caller.value(2) == {"text": "one", "id": "a"}
    assert caller.value(4) == [{"text": "two", "id": "a"}]
    assert caller.answers[4].header["versions"] == [2]


async def test_an_item_travels_with_its_version_and_nothing_is_null() -> None:
    caller = Caller(DiaryStreams())
    caller.call(1, "set", {"text": "one"}, item="a")
    caller.call(2, "get", item="b")
    caller.call(3, "delete", item="a")
    caller.call(4, "delete", item="a")
    await caller.until(4)
    assert caller.answers[1].header["versions"] == [1]
    assert (caller.value(2), caller.value(3), caller.value(4)) == (None, {"text": "one", "id": "a"}, None)


async def test_a_failed_call_stops_none_after_it() -> None:
    streams = DiaryStreams()
    streams.unknown.add("nope")
    caller = Caller(streams)
    caller.call(1, "set", {"text": 1}, item="a", stream="nope")
    caller.call(2, "get", item="a", stream="nope")
    caller.call(3, "set", {"text": 3}, item="a")
    await caller.until(3)
    assert (caller.error(1), caller.error(2)) == ("STREAM_UNKNOWN", "STREAM_UNKNOWN")
    assert caller.value(3) == {"text": 3, "id": "a"}


@pytest.mark.parametrize(
    ("method", "members"),
    [("steal", {}), ("set", {"item": None}), ("set", {"item": "a"}), ("get", {}), ("update", {"item": "a"})],
)
async def test_a_call_that_makes_no_sense_is_answered_with_an_error(
    method: str, members: dict[str, Any]
) -> None:
    caller = Caller(DiaryStreams())
    caller.call(1, method, **members)
    await caller.until(1)
    assert caller.error(1) == "INVALID_INPUT"


class Broken(DiaryStreams):
    def set(self, *_args: Any, **_more: Any) -> asyncio.Future[Item]:
        raise ZeroDivisionError

    async def get(self, *_args: Any) -> Item | None:
        raise ZeroDivisionError


async def test_a_fault_of_the_server_is_answered_without_its_inside_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caller = Caller(Broken())
    caller.call(1, "set", {}, item="a")
    caller.call(2, "get", item="a")
    await caller.until(2)
    assert (caller.error(1), caller.error(2)) == ("INTERNAL", "INTERNAL")
    assert "ZeroDivisionError" not in str(caller.answers)
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_asked_counts_until_it_is_answered() -> None:
    streams = DiaryStreams()
    streams.hold()
    caller = Caller(streams)
    for number in range(10):
        caller.call(number, "set", {"text": "x" * 200_000}, item="a")
    assert caller.intake.full
    streams.release()
    await caller.until(10)
    assert not caller.intake.full


async def test_what_runs_alone_waits_for_all_before_it_and_holds_up_all_after_it() -> None:
    done: list[str] = []
    gates = {name: asyncio.Event() for name in ("write", "read", "clear")}

    def method(name: str, **how: bool) -> Method:
        async def run() -> None:
            await gates[name].wait()
            done.append(name)

        return Method(lambda _call, _origin: run(), **how)

    service = {
        "write": method("write"),
        "read": method("read", reads=True),
        "clear": method("clear", alone=True),
    }
    caller = Caller(DiaryStreams())
    caller.calls = OrderedCalls({"streams": service}, caller.intake)
    for number, name in enumerate(("write", "clear", "read", "clear", "write", "clear")):
        caller.call(number, name)
    for name in ("clear", "read", "write"):
        gates[name].set()
    await caller.until(6)
    assert done == ["write", "clear", "read", "clear", "write", "clear"]
    assert list(caller.answers) == list(range(6))
