"""The thread behind the store does its calls in order and hands back whatever comes of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from headwater.errors import StoreUnavailable
from headwater.storage.sqlite.threads import StoreThread


@pytest.fixture
def thread() -> Iterator[StoreThread]:
    made = StoreThread("test-calls")
    yield made
    made.end()


async def test_calls_are_done_in_order_in_one_other_thread(thread: StoreThread) -> None:
    done: list[tuple[int, int]] = []
    futures = [
        thread.run(lambda number=number: done.append((number, threading.get_ident()))) for number in range(50)
    ]
    await asyncio.gather(*futures)
    assert [number for number, _ in done] == list(range(50))
    assert len({ident for _, ident in done}) == 1
    assert done[0][1] != threading.get_ident()


async def test_answers_and_errors_come_back(thread: StoreThread) -> None:
    assert await thread.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: 8) == 8


async def test_a_cancelled_call_is_done_all_the_same(thread: StoreThread) -> None:
    begin, done = threading.Event(), threading.Event()
    thread.post(lambda: begin.wait(5) and None)
    future = thread.run(done.set)
    future.cancel()
    begin.set()
    assert await thread.run(done.is_set)


async def test_an_ended_thread_refuses_calls_but_finishes_those_it_had() -> None:
    thread = StoreThread("test-calls")
    done = threading.Event()
    thread.post(done.set)
    thread.end()
    assert done.is_set()
    with pytest.raises(StoreUnavailable):
        await thread.run(lambda: 1)
    thread.post(lambda: None)


async def test_a_posted_call_that_fails_is_logged(
    thread: StoreThread, caplog: pytest.LogCaptureFixture
) -> None:
    thread.post(lambda: [][0])
    assert await thread.run(lambda: "fine") == "fine"
    assert "IndexError" in caplog.text


async def test_a_call_whose_loop_is_gone_harms_nobody(thread: StoreThread) -> None:
    begin = threading.Event()

    async def leave() -> None:
        thread.run(lambda: begin.wait(5))

    other = asyncio.new_event_loop()
    await asyncio.to_thread(other.run_until_complete, leave())
    other.close()
    begin.set()
    assert await thread.run(lambda: "fine") == "fine"
