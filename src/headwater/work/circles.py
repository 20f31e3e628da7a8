"""Steps whose events lead back to themselves, each emitting for the next. Tells of them, and stops none: to
go through pages, or to look again in ten seconds, a step emits to itself for good reason.

Owns which step was seen to emit to which in a chain of events, and how long a chain is told of.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from headwater.logline import Line, tell
from headwater.model import Origin
from headwater.work.consumer import Consumer

log = logging.getLogger("headwater.work")

LONG = 100
"""Events, each emitted by the handler of the one before: a chain so long has most likely no end."""
MOST_STEPS = 1000
"""Steps of which it is known to whom they emit."""


class Circles:
    """What was seen. `see` each emission of a handler whose own event was emitted."""

    def __init__(self) -> None:
        self._emits_to: dict[str, set[str]] = {}
        self._told: set[str] = set()

    def see(self, origin: Origin, consumers: Sequence[Consumer]) -> None:
        """Note who emits to whom; tell once of each circle in which a chain has become long."""
        known = self._emits_to.get(origin.step)
        if known is None:
            if len(self._emits_to) >= MOST_STEPS:
                return
            known = self._emits_to[origin.step] = set()
        known.update(consumer.name for consumer in consumers)
        if origin.links >= LONG and origin.step not in self._told:
            self._tell(origin)

    def _tell(self, origin: Origin) -> None:
        circle = self._circle(origin.step)
        if not circle:
            return
        self._told.update(circle)
        shown = " -> ".join(f'"{name}"' for name in (*circle, origin.step))
        message = (
            "%s: the events of these steps lead back to themselves, %d in a row, and nothing ends that. "
            'If it is not meant, let one of them emit no more; `headwater queue pause "%s"` holds it.'
        )
        tell(log, logging.WARNING, Line(*origin[:2]), message, shown, origin.links, origin.step)

    def _circle(self, step: str) -> list[str]:
        """The shortest way from a step to itself, itself first; nothing where none was seen."""
        came_from: dict[str, str] = {}
        ahead = deque([step])
        while ahead:
            here = ahead.popleft()
            for name in sorted(self._emits_to.get(here, ())):
                if name == step:
                    way = [here]
                    while way[-1] != step:
                        way.append(came_from[way[-1]])
                    return way[::-1]
                if name not in came_from:
                    came_from[name] = here
                    ahead.append(name)
        return []
