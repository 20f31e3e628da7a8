"""What is done about a worker that gives no sign of life: it is asked, doubted, relieved of what has not
begun, in the end told to end. Owns one look at one worker; when it is looked at is the pool's.
"""

from __future__ import annotations

from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.worker import Worker

DEAF_AFTER = 3.0
"""Seconds without an answer to a withdrawal after which a worker is given up. A thread of its own gives it
at once, so either user code holds the whole interpreter or the process was stopped."""


def examine(worker: Worker, now: float, *, excused: bool, patience: float) -> bool:
    """Look at a worker; answers whether it is found stalled just now.

    `excused` tells that silence proves nothing, for the server itself was late or did not read. `patience` is
    for how many seconds what was cancelled may hold the loop.
    """
    found = False
    if excused or worker.is_digesting(now):
        worker.pulse.excuse(now)
    elif worker.pulse.look(now):
        found = True
        worker.withdraw_unstarted()
    elif worker.pulse.is_due(now):
        worker.ping()
    if worker.stalled:
        _end_if_stuck(worker, now, patience)
        if not excused:
            _kill_if_deaf(worker, now)
    return found


def _end_if_stuck(worker: Worker, now: float, patience: float) -> None:
    """A cancelled invocation that goes on holding the loop costs the worker, which tells where it stands.

    It holds it only if the worker is stalled all that time; where it is known who does, the others are held
    up themselves.
    """
    if now - (worker.pulse.stalled_since or now) <= patience:
        return
    invocation = worker.longest_cancelled
    if invocation is not None and now - (invocation.cancelled_at or now) > patience:
        worker.end(f"{invocation.file} did not stop {patience:g} s after it was cancelled")


def _kill_if_deaf(worker: Worker, now: float) -> None:
    """Whoever does not even give back what it has not begun is of no use to anybody; what it has not begun
    goes elsewhere once it is gone, and not before, for it might begin it after all."""
    if worker.asked_back_at is not None and now - worker.asked_back_at > DEAF_AFTER:
        worker.kill(f"it answered nothing for {DEAF_AFTER:g} s")


def is_past_use(worker: Worker, now: float, patience: float) -> Invocation | None:
    """Whether something on a worker goes on long after its time, so that it is to take nothing more: the
    first such. A worker on which nothing else is left is told to end."""
    overdue = worker.overdue(now, patience)
    if not overdue:
        return None
    if len(overdue) == worker.load_count:
        worker.end(f"{overdue[0].file} did not stop {patience:g} s after its time")
    return None if worker.draining else overdue[0]
