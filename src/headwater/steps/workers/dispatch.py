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
    least: Chosen | None = None  # Of all that are alive but the last.
    last: Chosen | None = None
    for worker in workers:
        if not worker.stalled:
            if last is not None and (least is None or last.load_count < least.load_count):
                least = last
            last = worker
    if last is None:
        return None
    if least is None:
        return None if reserve and len(workers) > 1 and risky(last) else last
    return least if reserve or least.load_count <= last.load_count else last
