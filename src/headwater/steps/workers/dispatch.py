"""Which worker gets an invocation. Pure.

The last worker whose loop answers is the reserve: it gets work only when no other can take it, and never what
may well block it, so that first-time blockers do not take the last living loop from everyone else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def choose(
    workers: Sequence[Chosen], *, reserve: bool = True, risky: Callable[[Chosen], bool] = lambda _: False
) -> Chosen | None:
    """The least loaded worker that may take an invocation, or None: it must wait.

    `reserve` tells that one is to be kept back. `risky` is asked about the last living worker only: whether
    this invocation may well block it.
    """
    alive = [worker for worker in workers if not worker.stalled]
    if reserve and len(alive) > 1:
        alive.pop()
    elif reserve and len(workers) > 1 and alive and risky(alive[0]):
        return None
    return min(alive, key=lambda worker: worker.load_count, default=None)
