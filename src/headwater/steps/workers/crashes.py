"""Which step is to blame when a process of user code dies, and when such a step has to pause.

Owns the blame. A step that kills its process once is to run in processes of its own; one that does it again
and again would keep the machine busy with starting processes, so it is not run for a while. Pure: it is told
the time, and ends and starts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from headwater.clock import Clock
from headwater.errors import StepCrashes

MOST_AT_ONCE = 5
"""Deaths in a row that a step may cause before it has to pause."""

FORGIVEN_EVERY = 10.0
"""Seconds after which one of its deaths counts no more. So a step that always dies costs a process in so much
time, and one that has been mended needs no restart of the server."""

SUSPECTED_FOR = 60.0
"""Seconds for which what ran in a dead process is remembered, where several steps might be to blame."""


class Crashes:
    """The steps of one pool, by their files."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._debts: dict[str, float] = {}  # When the last of a step's deaths will be forgiven.
        self._suspects: frozenset[str] = frozenset()
        self._suspected_at = -SUSPECTED_FOR

    def died(self, files: Collection[str]) -> Collection[str]:
        """A process has died while code of these files ran in it; answers which are to blame.

        - One ran alone: that one.
        - Several did: those that also ran when one died just before. The others were beside it by chance.
        - None of them did: nobody yet, but they are remembered.
        """
        now = self._clock.monotonic()
        suspects = frozenset(files)
        known = self._suspects if now - self._suspected_at < SUSPECTED_FOR else frozenset[str]()
        blamed = suspects if len(suspects) == 1 else suspects & known
        if len(suspects) > 1:
            self._suspects, self._suspected_at = blamed or suspects, now
        for file in blamed:
            self._debts[file] = max(self._debts.get(file, now), now) + FORGIVEN_EVERY
        return blamed

    def pause(self, file: str) -> float:
        """For how many seconds a step is not to be run; 0 when it may be."""
        if not self._debts:
            return 0.0
        owed = self._debts.get(file, 0.0) - self._clock.monotonic()
        if owed <= 0:
            self._debts.pop(file, None)
        return max(owed - (MOST_AT_ONCE - 1) * FORGIVEN_EVERY, 0.0)

    def refusal(self, file: str) -> StepCrashes | None:
        """What whoever wants a step to run is told while it has to pause."""
        seconds = math.ceil(self.pause(file))
        if seconds <= 0:
            return None
        return StepCrashes(
            f"This step has ended its process too often, and is not run for {seconds} s.",
            hint="The log says which step it is and how its processes ended.",
            seconds=seconds,
        )
