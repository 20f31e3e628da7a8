"""The threads of user code: reused, limited, and never in each other's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from headwater.worker.threads import Threads

PATIENCE = 10.0


def pool(limit: int = 2) -> Threads:
    return Threads(asyncio.new_event_loop, limit)


def run(threads: Threads, work: Callable[[], object]) -> object:
    """Run work in the pool and wait for what it gives."""
    done = threading.Event()
    found: list[object] = []

    def job() -> None:
        found.append(work())
        done.set()

    threads.submit(job)
    assert done.wait(PATIENCE)
    return found[0]


def test_jobs_above_the_limit_wait_their_turn_in_order() -> None:
    threads = pool(limit=1)
    gate, order, done = threading.Event(), list[int](), threading.Event()
    threads.submit(lambda: gate.wait(PATIENCE) and None)
    for number in range(3):
        threads.submit(lambda number=number: order.append(number))
    threads.submit(done.set)
    assert order == []
    gate.set()
    assert done.wait(PATIENCE)
    assert order == [0, 1, 2]


def test_work_that_running_work_waits_for_runs_above_the_limit_and_before_the_waiting() -> None:
    threads = pool(limit=1)
    order: list[str] = []
    done = threading.Event()

    def outer() -> None:
        threads.submit(lambda: order.append("waiting"))
        inner = threading.Event()

        def work() -> None:
            order.append("inner")
            inner.set()

        threads.submit(work, inner=True)
        assert inner.wait(PATIENCE)
        order.append("outer")

    threads.submit(outer)
    threads.submit(done.set)
    assert done.wait(PATIENCE)
    assert order.index("inner") < order.index("outer")
    assert order.index("inner") < order.index("waiting")


def test_a_thread_keeps_one_loop_of_its_own() -> None:
    threads = pool(limit=1)
    assert run(threads, threads.loop) is run(threads, threads.loop)


def test_tasks_left_on_a_threads_loop_go_on_and_free_its_place() -> None:
    threads = pool(limit=1)
    gate, finished = threading.Event(), threading.Event()
    tasks: list[asyncio.Task[None]] = []

    async def left_behind() -> None:
        await asyncio.to_thread(gate.wait, PATIENCE)
        finished.set()

    async def work() -> None:
        tasks.append(asyncio.create_task(left_behind()))

    waiting = threading.Event()

    def wait_and_work() -> None:
        waiting.wait(PATIENCE)
        threads.run(work())

    threads.submit(wait_and_work)
    meanwhile = threading.Event()
    threads.submit(meanwhile.set)
    waiting.set()
    assert meanwhile.wait(PATIENCE)
    assert run(threads, lambda: "runs meanwhile") == "runs meanwhile"
    assert not finished.is_set()
    gate.set()
    assert finished.wait(PATIENCE)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_jobs_than_the_limit_run_at_once(limit: int) -> None:
    threads = pool(limit)
    lock, gate = threading.Lock(), threading.Event()
    running, most, ended = 0, 0, threading.Semaphore(0)

    def job() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == limit:
                gate.set()
        gate.wait(PATIENCE)
        with lock:
            running -= 1
        ended.release()

    for _ in range(10):
        threads.submit(job)
    for _ in range(10):
        assert ended.acquire(timeout=PATIENCE)
    assert most == limit
