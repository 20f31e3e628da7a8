"""What is known of steps, and what is feared: which hold the loop that runs them.

Owns the verdicts. A step is kept *apart*, in workers for itself, when it does harm beside others: it blocks,
it kills its process, it does not stop. A step *blocks* once a worker has said so; it is *proven* once it has
run to its end, or went on for a while in a worker for itself and did not hold its loop. Between them it may
block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.clock import Clock
from headwater.config import WorkerSettings
from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.sizes import held
from headwater.steps.workers.waiting import Reason, Waiting
from headwater.steps.workers.worker import MOST_WITHDRAWALS, Worker

SUSPICION = 2.0
"""For how long a step is suspected of a stall that nobody has explained, in units of `block_after`: by then
the worker has said who blocks, or nobody does."""

LEAST_CLEAN = 50
"""How often in a row a step that was seen blocking must end without, to run among the others again. Each time
that it blocks anew it takes twice as often. On a machine that is busy any step may look so once."""

MOST_CLEAN = 100_000
"""The most of that."""

PROBATION = 5.0
"""How long a step must go on in a worker for itself to be proven before it ends, in units of
`block_after`."""


@dataclass(slots=True)
class _Clean:
    """How often in a row a step has ended without blocking, and how often it must."""

    needed: int
    times: int = 0


class Verdicts:
    """The steps of one pool. `main` and `apart` are its workers, as they are now."""

    def __init__(
        self, settings: WorkerSettings, clock: Clock, main: Sequence[Worker], apart: Sequence[Worker]
    ) -> None:
        self.blocking: set[str] = set()
        self.harmful: set[str] = set()
        self.has_lanes = False
        self._settings = settings
        self._clock = clock
        self._main = main
        self._apart = apart
        self._proven: set[str] = set()
        self._clean: dict[str, _Clean] = {}

    def is_apart(self, file: str) -> bool:
        """Whether a step gets workers for itself, known to do harm as it is. Where there are lanes, what
        blocks does none."""
        return file in self.harmful or (file in self.blocking and not self.has_lanes)

    def blocks(self, file: str) -> bool:
        """A step was seen to hold its loop; answers whether that is news."""
        return self._add(self.blocking, file)

    def harms(self, file: str) -> bool:
        """A step killed its process, or did not stop; answers whether that is news."""
        return self._add(self.harmful, file)

    def _add(self, known: set[str], file: str) -> bool:
        if file in known:
            return False
        known.add(file)
        needed = self._clean[file].needed * 2 if file in self._clean else LEAST_CLEAN
        self._clean[file] = _Clean(min(needed, MOST_CLEAN))
        return True

    def ended(self, invocation: Invocation) -> bool:
        """An invocation has ended; answers whether its step is taken back among the others for it."""
        file = invocation.file
        if not invocation.started:
            return False
        self._proven.add(file)
        harmed = invocation.blocked or invocation.limit == 0.0
        return self.is_apart(file) and self._is_clean(self._clean[file], harmed=harmed, file=file)

    def _is_clean(self, clean: _Clean, *, harmed: bool, file: str) -> bool:
        clean.times = 0 if harmed else clean.times + 1
        if clean.times < clean.needed:
            return False
        self.harmful.discard(file)
        if not self.has_lanes:
            self.blocking.discard(file)
        return True

    def is_risky(self, invocation: Invocation, last: Worker, *, growing: bool) -> bool:
        """Whether an invocation may well block the last living worker. `growing`: one more is on its way.

        So may a step that runs on a stalled worker right now; and what is not proven and stood behind one
        that blocks. While another worker is on its way, the last one gets one at a time that is not proven.
        """
        file = invocation.file
        if file in self.blocking:
            return False
        if self._is_suspect(file):
            return True
        if file in self._proven:
            return False
        if invocation.withdrawals:
            return growing or self._some_are_held()
        return growing and any(other not in self._proven for other in last.files)

    def may_go_apart(self, invocation: Invocation) -> bool:
        """Whether what no main worker may take gets a worker for itself, though it was never seen to block.

        So does what has been taken away from stalled workers too often; and, once it is known that some
        block, what stood behind one and is not proven, for it may be another: one of each step at a time.
        """
        if self.has_lanes:
            return False
        if invocation.withdrawals >= MOST_WITHDRAWALS:
            return True
        if not invocation.withdrawals or invocation.file in self._proven or not self._some_are_held():
            return False
        return all(invocation.file not in worker.files for worker in self._apart)

    def needed_apart(self, waiting: Waiting) -> int | None:
        """How many that wait would go to a worker for itself; None when none ever did."""
        reasons = [reason for reason in waiting.reasons() if self._goes_apart(waiting, reason)]
        blocking = self.blocking if not self.has_lanes else ()
        if not (reasons or blocking or self.harmful or self._apart):
            return None
        return sum(waiting.count(one) if self.is_apart(one.file) else 1 for one in reasons)

    def _goes_apart(self, waiting: Waiting, reason: Reason) -> bool:
        if self.is_apart(reason.file):
            return True
        first = waiting.first(reason) if reason.withdrawn else None
        return first is not None and self.may_go_apart(first)

    def look(self) -> None:
        """Time has passed: what goes on in a worker for itself, without holding its loop, is proven."""
        since = self._clock.monotonic() - PROBATION * self._settings.block_after
        for worker in self._apart:
            if worker.given_at < since:
                self._proven.update(one.file for one in worker.running.values() if one.started)

    def _some_are_held(self) -> bool:
        return not self.has_lanes and held(self._main) > 0

    def _is_suspect(self, file: str) -> bool:
        """Whether a file may be what blocks a stalled worker, as long as that is not settled."""
        since = self._clock.monotonic() - SUSPICION * self._settings.block_after
        return any(one.may_be_held_by(file) for one in self._main if (one.pulse.stalled_since or 0.0) > since)
