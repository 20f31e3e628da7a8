"""How many workers there should be, and which may go. Looks at workers and memory, starts and ends nothing.

`Usual` sizes the workers that take everything, `Apart` those that take what blocks, one invocation each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from headwater.config import WorkerSettings
from headwater.steps.workers import memory
from headwater.steps.workers.worker import Worker

GROW_AFTER = 5.0
"""How long a worker must be stalled before another is started for it, in units of `stall_after`; when at most
one answers, another is started at once."""

SHRINK_AFTER = 30.0
"""Seconds after which workers beyond the wanted number are let go, and those of blocking steps when idle."""


LEAST_FREE_MEMORY = 256 * 1024 * 1024
"""Bytes that must stay free beside one more process for a blocking step."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many workers: `warm` take work, one more is in reserve where `most` allows."""

    warm: int
    most: int

    @classmethod
    def of(cls, settings: WorkerSettings) -> Size:
        """The sizes that the settings mean."""
        warm = settings.size or max(os.cpu_count() or 1, 2)
        return cls(warm, max(settings.max_size or warm + 4, warm))

    @property
    def usual(self) -> int:
        """How many there are when nothing is stalled."""
        return min(self.warm + 1, self.most)

    @property
    def reserve(self) -> bool:
        """Whether one is kept back."""
        return self.most > self.warm


class Sizing(Protocol):
    """The policy of one crew. `workers` are those that are not on their way out, oldest first."""

    @property
    def starts(self) -> int:
        """Most workers that may be starting at the same time."""
        ...

    @property
    def size(self) -> Size:
        """The usual number, above which idle ones are let go, and the most."""
        ...

    def wanted(self, workers: Sequence[Worker], now: float) -> int:
        """How many there should be."""
        ...

    def room(self, workers: Sequence[Worker]) -> int:
        """How many more there may be."""
        ...

    def spare(self, workers: Sequence[Worker], now: float) -> Sequence[Worker]:
        """Which of them may go."""
        ...


def held(workers: Sequence[Worker]) -> int:
    """How many are known to be held by a step that blocks."""
    return sum(worker.stalled and worker.held_by is not None for worker in workers)


class Usual:
    """The usual number; one more for each worker stalled for a while, up to the most.

    Where blocking steps get workers apart, `replaces_held` is set: a worker that such a step is known to hold
    then counts as one of those, and is replaced beyond the most as far as there may be more of them.
    """

    def __init__(self, settings: WorkerSettings, apart: Sequence[Worker]) -> None:
        self.size = Size.of(settings)
        self.starts = self.size.most
        self.replaces_held = False
        self._settings = settings
        self._apart = apart

    def wanted(self, workers: Sequence[Worker], now: float) -> int:
        """How many there should be."""
        stalled = [worker for worker in workers if worker.stalled]
        if not stalled:
            return self.size.usual
        alive = len(workers) - len(stalled)
        patience = GROW_AFTER * self._settings.stall_after if alive > 1 else 0.0
        lost = held(stalled) if self.replaces_held else 0
        doubted = sum(
            not (self.replaces_held and one.held_by) and (one.pulse.stalled_since or 0.0) <= now - patience
            for one in stalled
        )
        replaced = min(lost, max(self._settings.max_blocking - len(self._apart), 0))
        return min(self.size.usual + doubted, self.size.most) + replaced

    def room(self, workers: Sequence[Worker]) -> int:
        """How many more there may be."""
        return max(self.size.most - len(workers), 0)

    def spare(self, workers: Sequence[Worker], now: float) -> Sequence[Worker]:
        """The youngest idle ones above the usual number."""
        return [worker for worker in reversed(workers[self.size.usual :]) if not worker.running]


class Apart:
    """One for each invocation that blocks or waits to, and one ready for the next; at most `max_blocking`
    with the `main` workers that a blocking step holds, and fewer where memory is short.

    `needed` tells how many invocations wait, or None while no step is known to block.
    """

    def __init__(
        self, settings: WorkerSettings, main: Sequence[Worker], needed: Callable[[], int | None]
    ) -> None:
        self.size = Size(0, settings.max_blocking)
        self.starts = max(os.cpu_count() or 1, 2)
        """Beyond one for each core, starts only slow each other down."""
        self._main = main
        self._needed = needed

    def wanted(self, workers: Sequence[Worker], now: float) -> int:
        """How many there should be."""
        needed = self._needed()
        if needed is None:
            return 0
        busy = sum(bool(worker.running) for worker in workers)
        wanted = busy + needed + self.size.usual
        return min(wanted, len(workers) + self.room(workers)) if wanted > len(workers) else wanted

    def room(self, workers: Sequence[Worker]) -> int:
        """How many more there may be; the first is never refused for want of memory."""
        room = max(self.size.most - len(workers) - held(self._main), 0)
        return room if not workers or not room or _memory_allows(workers[0]) else 0

    def spare(self, workers: Sequence[Worker], now: float) -> Sequence[Worker]:
        """Those that have been idle for a while, but those that are kept ready."""
        idle = [one for one in workers if not one.running]
        return [one for one in idle[self.size.usual :] if now - one.idle_since >= SHRINK_AFTER]


def _memory_allows(worker: Worker) -> bool:
    """Whether one more process like this one leaves enough for everybody else."""
    free = memory.available()
    return free is None or free - (memory.resident(worker.pid) or 0) >= LEAST_FREE_MEMORY
