"""What is done about a worker that gives no sign of life: it is asked, doubted, relieved of what has not
begun, in the end told to end. Owns one look at one worker; when it is looked at is the pool's.
"""

from __future__ import annotations

from headwater.steps.workers.worker import Worker


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
