"""What is due: the jobs that wait, run or are to be tried again, by queue. Pure: it is told the time, does no
I/O.

Each step that consumes events has one queue. What may live here: a job's id, its queue, when it is due, and
its lane. What may not: payloads, steps, stores; so that a hundred thousand waiting jobs cost some megabytes,
and those that wait for a time cost nothing until it comes.

- **Standard queue**: a due job starts as soon as fewer than `concurrency` of its queue run, the earliest
first. - **Lane** (fifo): of the jobs of one lane one runs at a time, in the order in which they came, over
retries too:
  while the first waits to be tried again, the lane waits with it. Lanes do not wait for each other.
- **Paused queue**: takes jobs, starts none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush


class Waiting:
    """One job as its queue knows it. `due` is wall time in seconds; `lane` None is no lane."""

    __slots__ = ("cancelled", "due", "gone", "id", "lane", "number", "queue", "retrying", "running")

    def __init__(self, queue: str, job: str, due: float, lane: str | None = None) -> None:
        self.queue = queue
        self.id = job
        self.due = due
        self.lane = lane
        self.number = 0
        """Its place in the order of coming."""
        self.running = False
        self.cancelled = False
        """It is to end as soon as it can."""
        self.retrying = False
        """It waits, and has failed before."""
        self.gone = False
        """It was taken back; whoever meets it passes it over."""


class Queue:
    """The jobs of one step. Made and fed by Queues."""

    __slots__ = ("concurrency", "held", "lanes", "listed", "name", "paused", "ready", "retrying", "running")

    def __init__(self, name: str) -> None:
        self.name = name
        self.concurrency = 1
        self.paused = False
        self.running = 0
        self.retrying = 0
        """How many of those that wait have failed before."""
        self.held: dict[str, Waiting] = {}
        """All jobs of the queue that are not settled, by id."""
        self.ready: deque[Waiting] = deque()
        self.lanes: dict[str, deque[Waiting]] = {}
        self.listed = False
        """Whether it stands among those that may have something to start."""

    @property
    def open(self) -> bool:
        """Whether one more job may start."""
        return not self.paused and self.running < self.concurrency


class Queues:
    """All queues. `take` answers what is to start next, until there is nothing."""

    def __init__(self) -> None:
        self._queues: dict[str, Queue] = {}
        self._later: list[tuple[float, int, Waiting]] = []
        self._active: deque[Queue] = deque()
        self._number = 0
        self.size = 0
        """Jobs that are not settled."""

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._queues.values())

    def __getitem__(self, name: str) -> Queue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = Queue(name)
        return queue

    def find(self, queue: str, job: str) -> Waiting | None:
        """A job that is not settled, or None."""
        known = self._queues.get(queue)
        return known.held.get(job) if known is not None else None

    def wake_at(self) -> float | None:
        """When the next job that waits for a time comes due; None where none does."""
        while self._later and self._later[0][2].gone:
            heappop(self._later)
        return self._later[0][0] if self._later else None

    def add(self, job: Waiting, now: float) -> None:
        """A new job, behind those of its queue and lane."""
        queue = self[job.queue]
        self._hold(queue, job)
        if job.lane is not None:
            lane = queue.lanes.setdefault(job.lane, deque())
            lane.append(job)
            if len(lane) > 1:
                return  # Its turn comes when those before it have ended.
        self._schedule(queue, job, now)

    def claim(self, job: Waiting) -> bool:
        """Start a new job at once, where it overtakes nobody; it then counts as running. False leaves it
        out."""
        queue = self[job.queue]
        self._pass_over(queue)
        if not queue.open or queue.ready or (job.lane is not None and job.lane in queue.lanes):
            return False
        self._hold(queue, job)
        if job.lane is not None:
            queue.lanes[job.lane] = deque([job])
        self._begin(queue, job)
        return True

    def take(self, now: float) -> Waiting | None:
        """The next job to start, which counts as running from now on; queues take turns."""
        while self._later and self._later[0][0] <= now:
            job = heappop(self._later)[2]
            if not job.gone:
                self._make_ready(self[job.queue], job)
        while self._active:
            queue = self._active.popleft()
            queue.listed = False
            self._pass_over(queue)
            if queue.ready and queue.open:
                job = queue.ready.popleft()
                self._begin(queue, job)
                self._list(queue)
                return job
        return None

    def start(self, job: Waiting) -> None:
        """Let a job that waits count as running now, ahead of its turn: only to be settled."""
        queue = self[job.queue]
        job.gone = True
        self._begin(queue, job)

    def again(self, job: Waiting, due: float, now: float, *, failed: bool = False) -> None:
        """A running job is to be tried again at `due`; it keeps its place in its lane."""
        queue = self[job.queue]
        self._end(queue, job)
        job.due = due
        self._retry(queue, job, failed)
        self._schedule(queue, job, now)

    def settle(self, job: Waiting, now: float) -> None:
        """A job has ended, or was taken back before it ran; the next of its lane has its turn."""
        queue = self[job.queue]
        if queue.held.pop(job.id, None) is not None:
            self.size -= 1
        if job.running:
            self._end(queue, job)
        self._retry(queue, job, False)
        job.gone = True
        lane = queue.lanes.get(job.lane) if job.lane is not None else None
        if lane is None:
            return
        first = lane[0] is job
        while lane and lane[0].gone:
            lane.popleft()
        if not lane:
            del queue.lanes[job.lane or ""]
        elif first:
            self._schedule(queue, lane[0], now)

    def configure(self, name: str, *, concurrency: int, paused: bool) -> None:
        """How many of a queue run at once, and whether any start."""
        queue = self[name]
        queue.concurrency, queue.paused = concurrency, paused
        self._list(queue)

    def _hold(self, queue: Queue, job: Waiting) -> None:
        self._number += 1
        job.number = self._number
        queue.held[job.id] = job
        self.size += 1
        queue.retrying += job.retrying

    @staticmethod
    def _pass_over(queue: Queue) -> None:
        """Let go of the first ones that were taken back."""
        while queue.ready and queue.ready[0].gone:
            queue.ready.popleft()

    def _schedule(self, queue: Queue, job: Waiting, now: float) -> None:
        if job.due <= now:
            self._make_ready(queue, job)
        else:
            heappush(self._later, (job.due, job.number, job))

    def _make_ready(self, queue: Queue, job: Waiting) -> None:
        queue.ready.append(job)
        self._list(queue)

    def _list(self, queue: Queue) -> None:
        if not queue.listed and queue.ready and queue.open:
            queue.listed = True
            self._active.append(queue)

    @staticmethod
    def _retry(queue: Queue, job: Waiting, retrying: bool) -> None:
        queue.retrying += retrying - job.retrying
        job.retrying = retrying

    def _begin(self, queue: Queue, job: Waiting) -> None:
        self._retry(queue, job, False)
        job.running = True
        queue.running += 1

    def _end(self, queue: Queue, job: Waiting) -> None:
        job.running = False
        queue.running -= 1
        self._list(queue)
