"""What the server counts for its operator: an observer that adds up what it is told.

Owns the counts, plain numbers in dictionaries, since some are told thousands of times a second. How they look
to a reader is `exposition.py`'s. Labels are few and bounded: names of the project's steps, codes, settings.
Nothing is counted by client, group or item, of which there may be millions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from headwater.errors import HeadwaterError
from headwater.model import GroupKey
from headwater.observe import Answered, Batch, Delivered, Job, Observer, Run, Why
from headwater.peer import Peer, PeerKind
from headwater.protocol.clients.v1 import SUBPROTOCOL

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the ranges in which durations are counted: from half of what a durable write takes alone to
the patience of people."""
WRITES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
"""Likewise of what commits together."""

MOST_LABELS = 500
"""Different labels under one name; what comes later is counted as `OTHER`."""
OTHER = "other"


class Ranges:
    """How many values lie in which range, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Meter(Observer):
    """Counts for one server, from its start on."""

    listening = True

    def __init__(self) -> None:
        self.open: Counter[str] = Counter()
        """Sockets and event streams that are open, by kind."""
        self.accepted_by: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        """By status."""
        self.request_seconds = Ranges(SECONDS)
        self.subscriptions: Counter[str] = Counter({"live": 0, "behind": 0})
        self.begun = 0
        self.fell_behind: Counter[str] = Counter()
        self.flushes = 0
        self.changes = 0
        self.deliveries = 0
        self.delivered_bytes = 0
        self.commit_seconds = Ranges(SECONDS)
        self.commit_writes = Ranges(WRITES)
        self.refused_writes = 0
        self.runs: Counter[tuple[str, ...]] = Counter()
        """Invocations that ended, by step and code."""
        self.run_seconds: dict[str, float] = {}
        self.jobs: Counter[tuple[str, ...]] = Counter()
        """By step, and what became of it."""
        self.stalls = 0
        self.workers_lost = 0
        self.reloads = 0
        self.generation = 0
        self.faltered_tasks: Counter[str] = Counter()

    # --- clients ---

    def accepted(self, peer: Peer) -> None:
        """See Observer."""
        self.open[peer.kind] += 1
        self.accepted_by[_protocol(peer)] += 1

    def left(self, kind: PeerKind) -> None:
        """See Observer."""
        self.open[kind] -= 1

    def refused(self, peer: Peer, error: HeadwaterError) -> None:
        """See Observer."""
        self.refusals[error.code] += 1

    def answered(self, answer: Answered) -> None:
        """See Observer."""
        self.requests[str(answer.status)] += 1
        self.request_seconds.add(answer.seconds)

    def limited(self, setting: str, limit: float) -> None:
        """See Observer."""
        self.limits[setting] += 1

    # --- streams ---

    def subscribed(self, group: GroupKey, item: str | None) -> None:
        """See Observer. It is behind until it is told to be live."""
        self.begun += 1
        self.subscriptions["behind"] += 1

    def behind(self, group: GroupKey, why: Why) -> None:
        """See Observer. What joins was counted when it began."""
        self.fell_behind[why] += 1
        if why != "join":
            self.subscriptions["live"] -= 1
            self.subscriptions["behind"] += 1

    def live(self, group: GroupKey) -> None:
        """See Observer."""
        self.subscriptions["behind"] -= 1
        self.subscriptions["live"] += 1

    def unsubscribed(self, group: GroupKey, live: bool) -> None:
        """See Observer."""
        self.subscriptions["live" if live else "behind"] -= 1

    def delivered(self, flush: Delivered) -> None:
        """See Observer."""
        self.flushes += 1
        self.changes += flush.changes
        self.deliveries += flush.subscribers
        self.delivered_bytes += flush.size * flush.subscribers

    def committed(self, batch: Batch) -> None:
        """See Observer."""
        self.commit_seconds.add(batch.seconds)
        self.commit_writes.add(batch.writes)
        self.refused_writes += batch.refused

    # --- steps ---

    def ended(self, run: Run, seconds: float, code: str) -> None:
        """See Observer."""
        label = _bounded(self.runs, run.step, code)
        self.runs[label] += 1
        step = label[0]
        self.run_seconds[step] = self.run_seconds.get(step, 0.0) + seconds

    def stalled(self, worker: int) -> None:
        """See Observer."""
        self.stalls += 1

    def lost(self, worker: int, how: str) -> None:
        """See Observer."""
        self.workers_lost += 1

    def reloaded(self, generation: int, steps: int, streams: int) -> None:
        """See Observer."""
        self.reloads += 1
        self.generation = generation

    # --- work ---

    def job_accepted(self, job: Job) -> None:
        """See Observer."""
        self._job(job, "accepted")

    def job_begun(self, job: Job) -> None:
        """See Observer."""
        self._job(job, "begun")

    def job_retried(self, job: Job, code: str, wait: float) -> None:
        """See Observer."""
        self._job(job, "retried")

    def job_ended(self, job: Job, status: str, code: str) -> None:
        """See Observer."""
        self._job(job, status)

    def _job(self, job: Job, what: str) -> None:
        self.jobs[_bounded(self.jobs, job.step, what)] += 1

    # --- the server itself ---

    def faltered(self, task: str, error: BaseException, wait: float) -> None:
        """See Observer."""
        self.faltered_tasks[task] += 1


def _bounded(counts: Counter[tuple[str, ...]], name: str, second: str) -> tuple[str, ...]:
    """The label under which something is counted: its own while there is room."""
    label = name, second
    return label if label in counts or len(counts) < MOST_LABELS else (OTHER, OTHER)


def _protocol(peer: Peer) -> str:
    """What a client speaks: event streams, or the version that a socket was opened with."""
    if peer.kind != "websocket":
        return peer.kind
    offered = peer.headers.get("sec-websocket-protocol", "")
    return "v1" if SUBPROTOCOL in [one.strip() for one in offered.split(",")] else "v0"
