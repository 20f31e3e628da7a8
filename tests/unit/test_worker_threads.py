"""The threads of user code: reused, limited, and never in each other's way."""

from __future__ import annotations

import threading

import pytest

from headwater.worker.threads import Threads

PATIENCE = 10.0


def pool(limit: int = 2) -> Threads:
    return Threads(limit)


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


def test_an_owner_whose_jobs_never_return_leaves_threads_to_others() -> None:
    threads = Threads(limit=3, most_of_one=2)
    gate, begun, others = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def stuck() -> None:
        begun.release()
        gate.wait(PATIENCE)

    for _ in range(10):
        threads.submit(stuck, "a")
    for _ in range(2):
        assert begun.acquire(timeout=PATIENCE)
    for _ in range(3):
        threads.submit(others.release, "b")
    for _ in range(3):
        assert others.acquire(timeout=PATIENCE)
    assert not begun.acquire(blocking=False)

    gate.set()
    for _ in range(8):
        assert begun.acquire(timeout=PATIENCE)


def test_owners_take_turns() -> None:
    threads = pool(limit=1)
    gate, order, done = threading.Event(), list[str](), threading.Event()
    threads.submit(lambda: gate.wait(PATIENCE) and None)
    for _ in range(3):
        threads.submit(lambda: order.append("a"), "a")
    threads.submit(lambda: order.append("b"), "b")
    threads.submit(lambda: order.append("b"), "b")
    threads.submit(done.set, "b")
    gate.set()
    assert done.wait(PATIENCE)
    assert order == ["a", "b", "a", "b", "a"]
