"""What `ctx.progress` writes, and when. The clock moves by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import orjson
import pytest

from headwater.errors import HeadwaterError, InvalidInput, RunLost
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.worker.calls import Calls
from headwater.worker.invocation import Invocation
from headwater.worker.items import read_item
from headwater.worker.progress import Progress


class Stage:
    """Settles every call at once, with an error where one is set; `open` ones wait."""

    def __init__(self) -> None:
        self.now = 100.0
        self.written: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.error: HeadwaterError | None = None
        self.answering = True
        self.most_open = self.open = 0
        header = {"id": 1, "kind": "event", "file": "a", "step": "a", "trace": "", "flows": [], "run": "r"}
        self.invocation = Invocation(Message(header))
        self.calls = Calls(self.send, lambda _invocation, _call: None)
        self.progress = Progress(self.calls, self.send, self.invocation, lambda: self.now)
        self.item = read_item("jobs", "g", {"id": "a"}, 1)
        self.numbers: list[int] = []

    def send(self, message: Message) -> None:
        if message.type == "log":
            self.told.append(message.header["message"])
            return
        assert [message.header[name] for name in ("stream", "group", "item")] == ["jobs", "g", "a"]
        [operation] = orjson.loads(message.sections[0])
        assert (operation["type"], operation["path"]) == ("set", "progress")
        self.written.append(operation["value"])
        self.numbers.append(message.header["id"])
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        if self.answering:
            self.answer()

    def answer(self) -> None:
        for number in self.numbers:
            fine = protocol.call_result(number, b'{"id":"a"}', [2])
            self.calls.settle(protocol.failure(number, self.error) if self.error else fine)
            self.open -= 1
        self.numbers = []

    @property
    def done(self) -> list[int]:
        return [value["done"] for value in self.written]


Body = Callable[[Any], None]


def plain(loop: Any, body: Body) -> None:
    for element in loop:
        body(element)


def awaited(loop: Any, body: Body) -> None:
    async def run() -> None:
        async for element in loop:
            body(element)

    asyncio.run(run())


BOTH = pytest.mark.parametrize("run", [plain, awaited], ids=["for", "async for"])
Run = Callable[[Any, Body], None]


@BOTH
def test_it_writes_first_and_last_and_four_times_a_second_between(run: Run) -> None:
    stage = Stage()
    seen: list[int] = []

    def body(element: int) -> None:
        seen.append(element)
        stage.now += 0.1

    run(stage.progress(list(range(10)), stage.item), body)
    assert seen == list(range(10))
    assert stage.done == [0, 3, 6, 9, 10]
    assert stage.written[0] == {"done": 0, "total": 10, "percent": 0.0, "rate": None, "eta": None}
    assert stage.written[1] == {"done": 3, "total": 10, "percent": 30.0, "rate": 10.0, "eta": 0.7}
    assert stage.written[-1] == {"done": 10, "total": 10, "percent": 100.0, "rate": 10.0, "eta": 0.0}


@BOTH
def test_without_a_length_the_total_is_known_at_the_end(run: Run) -> None:
    stage = Stage()

    def body(_element: int) -> None:
        stage.now += 1.0

    run(stage.progress(iter([1, 2]), stage.item), body)
    assert stage.written[1] == {"done": 1, "total": None, "percent": None, "rate": 1.0, "eta": None}
    assert stage.written[-1] == {"done": 2, "total": 2, "percent": 100.0, "rate": 1.0, "eta": 0.0}
    run(stage.progress(iter([1]), stage.item, total=4), body)
    assert stage.written[-2] == {"done": 1, "total": 4, "percent": 25.0, "rate": 1.0, "eta": 3.0}


@BOTH
def test_nothing_to_do_is_all_done(run: Run) -> None:
    stage = Stage()
    run(stage.progress([], stage.item), lambda _: None)
    assert [value["percent"] for value in stage.written] == [100.0, 100.0]


@BOTH
def test_an_error_goes_on_after_the_last_state_is_written(run: Run) -> None:
    stage = Stage()

    def body(element: int) -> None:
        if element == 2:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run(stage.progress([0, 1, 2, 3], stage.item), body)
    assert stage.done == [0, 2]


@BOTH
def test_an_error_of_the_elements_goes_on_after_the_last_state_is_written(run: Run) -> None:
    stage = Stage()

    def elements() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run(stage.progress(elements(), stage.item), lambda _: None)
    assert stage.done == [0, 1]


def test_a_loop_that_is_left_writes_its_last_state() -> None:
    stage = Stage()
    for element in stage.progress([0, 1, 2, 3], stage.item):
        if element == 2:
            break
    assert stage.done == [0, 2]

    async def run() -> None:
        async for element in stage.progress([0, 1, 2, 3], stage.item):
            if element == 1:
                break
        assert stage.done == [0, 2, 0, 1]

    asyncio.run(run())


@BOTH
def test_a_cancelled_run_stops_at_the_next_element(run: Run) -> None:
    stage = Stage()
    seen: list[int] = []

    def body(element: int) -> None:
        seen.append(element)
        stage.invocation.cancelled = True

    with pytest.raises(asyncio.CancelledError):
        run(stage.progress([0, 1, 2], stage.item), body)
    assert seen == [0]
    assert stage.done == [0, 1]


def test_a_plain_handler_of_a_cancelled_run_writes_no_more() -> None:
    stage = Stage()
    stage.invocation.plain = True

    def body(_element: int) -> None:
        stage.invocation.cancelled = True

    with pytest.raises(asyncio.CancelledError):
        plain(stage.progress([0, 1, 2], stage.item), body)
    assert stage.done == [0]
    assert stage.invocation.failures == []


@BOTH
def test_a_first_write_that_is_refused_ends_the_loop_before_it_begins(run: Run) -> None:
    stage = Stage()
    stage.error = InvalidInput("The schema has no progress.")
    with pytest.raises(InvalidInput, match="no progress"):
        run(stage.progress([0], stage.item), lambda _: pytest.fail("it ran"))
    assert len(stage.written) == 1


@BOTH
def test_a_write_that_fails_on_the_way_is_told_and_the_loop_goes_on(run: Run) -> None:
    stage = Stage()
    seen: list[int] = []

    def body(element: int) -> None:
        seen.append(element)
        stage.now += 1.0
        stage.error = InvalidInput("Not now.") if element == 0 else None

    run(stage.progress([0, 1], stage.item), body)
    assert (seen, stage.told) == ([0, 1], ["Progress was not written: Not now."])


@BOTH
def test_an_attempt_that_was_superseded_stops(run: Run) -> None:
    stage = Stage()

    def body(_element: int) -> None:
        stage.now += 1.0
        stage.error = RunLost("Another attempt has begun.")

    with pytest.raises(RunLost):
        run(stage.progress([0, 1], stage.item), body)


async def test_elements_may_come_asynchronously() -> None:
    stage = Stage()

    async def elements() -> AsyncIterator[int]:
        for n in range(3):
            await asyncio.sleep(0)
            yield n

    assert [element async for element in stage.progress(elements(), stage.item)] == [0, 1, 2]
    assert stage.done == [0, 3]
    with pytest.raises(InvalidInput, match="async for"):
        list(stage.progress(elements(), stage.item))


async def test_a_plain_loop_on_the_loop_of_handlers_has_one_write_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headwater.worker.calls.user_loop", asyncio.get_running_loop())
    stage = Stage()
    stage.answering = False
    for element in stage.progress(range(6), stage.item):
        stage.now += 1.0
        if element == 3:
            assert stage.most_open == 1
            stage.answer()
    assert stage.done == [0, 4, 6]


@pytest.mark.parametrize("item", [{"id": "a"}, None, "a"])
def test_it_takes_only_items_of_streams(item: Any) -> None:
    with pytest.raises(InvalidInput, match="item that a stream gave"):
        Stage().progress([], item)


def test_it_takes_only_what_has_elements() -> None:
    stage = Stage()
    with pytest.raises(InvalidInput, match="cannot iterate"):
        stage.progress(3, stage.item)
