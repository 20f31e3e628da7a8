"""Which worker gets an invocation. Pure.

The last worker whose loop answers is the reserve: it gets work only when no other can take it, and never a
step that runs on a stalled worker right now, since that step may well be what blocks. So one first-time
blocker, or several of one step, never take the last living loop from everyone else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What the choice looks at."""

    @property
    def load_count(self) -> int:
        """How many invocations are on it."""
        ...

    @property
    def stalled(self) -> bool:
        """Whether its loop does not answer."""
        ...


Chosen = TypeVar("Chosen", bound=Candidate)


def choose(workers: Sequence[Chosen], *, suspect: bool = False, reserve: bool = True) -> Chosen | None:
    """The least loaded worker that may take an invocation, or None: it must wait.

    `suspect` says that its step runs on a stalled worker; `reserve` False that none is to be kept back.
    """
    alive = [worker for worker in workers if not worker.stalled]
    if reserve and len(workers) > 1:
        if len(alive) > 1:
            alive.pop()
        elif suspect:
            return None
    return min(alive, key=lambda worker: worker.load_count, default=None)
