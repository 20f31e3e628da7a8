"""What is due, in which order, and what waits for what. Times are told by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.work.queues import Queues, Waiting


def queues(concurrency: int = 1, *names: str) -> Queues:
    made = Queues()
    for name in names or ("a",):
        made.configure(name, concurrency=concurrency, paused=False)
    return made


def add(
    made: Queues, job: str, *, queue: str = "a", due: float = 0.0, lane: str | None = None, now: float = 0
) -> Waiting:
    waiting = Waiting(queue, job, due, lane)
    made.add(waiting, now)
    return waiting


def started(made: Queues, now: float = 0.0) -> list[str]:
    found: list[str] = []
    while (job := made.take(now)) is not None:
        found.append(job.id)
    return found


def test_no_more_of_a_queue_run_than_it_may() -> None:
    made = queues(2)
    first = add(made, "1")
    for job in "23":
        add(made, job)
    assert started(made) == ["1", "2"]
    made.settle(first, 0)
    assert started(made) == ["3"]


def test_a_job_waits_for_its_time() -> None:
    made = queues()
    add(made, "late", due=10)
    add(made, "soon", due=5)
    assert started(made, 4.9) == []
    assert made.wake_at() == 5
    assert started(made, 20) == ["soon"]


def test_what_is_tried_again_lets_others_of_a_standard_queue_pass() -> None:
    made = queues()
    first = add(made, "1")
    add(made, "2")
    assert started(made) == ["1"]
    made.again(first, 10, 0)
    assert started(made) == ["2"]


def test_a_lane_keeps_its_order_over_retries_and_other_lanes_do_not_wait() -> None:
    made = queues(10)
    first = add(made, "x1", lane="x")
    add(made, "x2", lane="x")
    add(made, "y1", lane="y")
    assert started(made) == ["x1", "y1"]
    made.again(first, 10, 0)
    assert started(made, 9) == []
    assert started(made, 10) == ["x1"]
    made.settle(first, 10)
    assert started(made, 10) == ["x2"]


def test_a_job_taken_back_is_passed_over_wherever_it_stands() -> None:
    made = queues(10)
    head = add(made, "1", lane="x")
    middle = add(made, "2", lane="x")
    add(made, "3", lane="x")
    made.settle(middle, 0)
    made.settle(head, 0)
    later = add(made, "4", due=5)
    made.settle(later, 0)
    assert started(made, 10) == ["3"]
    assert made.wake_at() is None
    assert made.find("a", "2") is None


def test_a_paused_queue_takes_jobs_and_starts_none() -> None:
    made = queues()
    made.configure("a", concurrency=1, paused=True)
    add(made, "1")
    assert started(made) == []
    made.configure("a", concurrency=1, paused=False)
    assert started(made) == ["1"]


def test_queues_take_turns() -> None:
    made = queues(5, "a", "b")
    for number in range(2):
        add(made, f"a{number}")
    for number in range(2):
        add(made, f"b{number}", queue="b")
    assert started(made) == ["a0", "b0", "a1", "b1"]


def test_a_new_job_begins_at_once_only_where_it_overtakes_nobody() -> None:
    made = queues(2)
    one = Waiting("a", "1", 0.0, "x")
    assert made.claim(one)
    assert not made.claim(Waiting("a", "2", 0.0, "x"))
    add(made, "3")
    assert not made.claim(Waiting("a", "4", 0.0))
    assert started(made) == ["3"]
    assert not made.claim(Waiting("a", "5", 0.0))
    made.settle(one, 0)
    assert made.claim(Waiting("a", "6", 0.0, "x"))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "take", "settle", "again", "back", "claim"]),
        st.integers(0, 3),
        st.sampled_from([None, "x", "y"]),
    ),
    max_size=80,
)


@given(STEPS)
def test_any_course_keeps_order_and_limits_and_loses_nobody(steps: list[tuple[str, int, str | None]]) -> None:
    made = queues(2)
    now = 0.0
    waiting: list[Waiting] = []
    running: list[Waiting] = []
    order: list[Waiting] = []
    for number, (what, amount, lane) in enumerate(steps):
        now += 1
        if what == "add":
            job = add(made, str(number), due=now + amount, lane=lane, now=now)
            waiting.append(job)
            order.append(job)
        elif what == "claim":
            job = Waiting("a", str(number), now, lane)
            if made.claim(job):
                running.append(job)
                order.append(job)
        elif what == "take" and (taken := made.take(now)) is not None:
            waiting.remove(taken)
            running.append(taken)
            assert taken.due <= now
            before = order[: order.index(taken)]
            assert taken.lane is None or all(one.lane != taken.lane for one in before)
        elif what == "settle" and running:
            job = running.pop(amount % len(running))
            made.settle(job, now)
            order.remove(job)
        elif what == "again" and running:
            job = running.pop(amount % len(running))
            made.again(job, now + amount, now)
            waiting.append(job)
        elif what == "back" and waiting:
            job = waiting.pop(amount % len(waiting))
            made.settle(job, now)
            order.remove(job)
        assert made["a"].running == len(running) <= 2
        lanes = [job.lane for job in running if job.lane is not None]
        assert len(lanes) == len(set(lanes))
    while waiting:
        for job in running:
            made.settle(job, now)
            order.remove(job)
        running.clear()
        now += 10
        taken = made.take(now)
        assert taken is not None
        waiting.remove(taken)
        running.append(taken)
