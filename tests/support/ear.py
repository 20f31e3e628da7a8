"""An observer that notes everything that it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from headwater.observe import EVENTS, Observer


class Ear(Observer):
    """Hears all events. `news` is set at each."""

    listening = True

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.news = asyncio.Event()

    def of(self, event: str) -> list[Any]:
        """What was told of one kind of event, in order."""
        return [one[1:] for one in self.heard if one[0] == event]

    def limits(self) -> list[str]:
        """The settings whose limits were met, in order."""
        return [setting for setting, _ in self.of("limited")]

    async def until(self, event: str, count: int = 1) -> list[Any]:
        """Wait until it was told so often."""
        async with asyncio.timeout(30):
            while len(self.of(event)) < count:
                self.news.clear()
                await self.news.wait()
        return self.of(event)


def _noting(event: str) -> Callable[..., None]:
    def note(self: Ear, *what: Any) -> None:
        self.heard.append((event, *what))
        self.news.set()

    return note


for _event in EVENTS:
    setattr(Ear, _event, _noting(_event))
