"""Background work that must not end: each piece runs in a task that is watched, logged and started again.

Owns the tasks and how long to wait before another start. What the work is, and what it may meet without
failing, is its own matter. Work that returns is done; work that raises, or that something cancels which is
not the supervisor, starts again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from headwater.clock import Clock, SystemClock
from headwater.observe import SILENT, Observer

log = logging.getLogger("headwater.tasks")

FIRST_WAIT = 0.5
"""Seconds before the first new start; each failure in a row doubles it."""

MOST_WAIT = 30.0
"""Seconds, the longest wait."""

STEADY_SECONDS = 60.0
"""Work that ran for so long counts as sound: its next failure is a first one."""

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class Supervised:
    """One piece of work, for people to look at. `since` is monotonic: when it got into its state."""

    name: str
    state: Literal["running", "waiting", "done"] = "running"
    since: float = 0.0
    failures: int = 0
    in_a_row: int = 0
    error: str = ""


class Supervisor:
    """Keeps work running until it is closed. `clock` and `sleep` are passed in by tests."""

    def __init__(
        self,
        observer: Observer = SILENT,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._observer = observer
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._tasks: dict[asyncio.Task[None], Supervised] = {}

    @property
    def tasks(self) -> tuple[Supervised, ...]:
        """All work that was started, also what is done."""
        return tuple(self._tasks.values())

    def start(self, name: str, work: Work) -> None:
        """Run work from now on; it is called anew for each start."""
        supervised = Supervised(name, since=self._clock.monotonic())
        task = asyncio.get_running_loop().create_task(self._keep(supervised, work), name=name)
        self._tasks[task] = supervised

    async def close(self) -> None:
        """Cancel everything and wait until it has ended."""
        tasks, self._tasks = list(self._tasks), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _keep(self, supervised: Supervised, work: Work) -> None:
        while True:
            self._turn(supervised, "running")
            began = supervised.since
            try:
                await work()
            except asyncio.CancelledError as error:
                if _is_cancelled():
                    raise
                fault: BaseException = error
            except Exception as error:
                fault = error
            else:
                self._turn(supervised, "done")
                return
            wait = self._failed(supervised, fault, self._clock.monotonic() - began)
            self._turn(supervised, "waiting")
            await self._sleep(wait)

    def _failed(self, supervised: Supervised, fault: BaseException, lived: float) -> float:
        """Tell it; answers for how long to wait."""
        supervised.failures += 1
        supervised.in_a_row = 1 if lived >= STEADY_SECONDS else supervised.in_a_row + 1
        supervised.error = str(fault) or type(fault).__name__
        wait = min(FIRST_WAIT * 2 ** min(supervised.in_a_row - 1, 10), MOST_WAIT)
        text = "The background task %r failed and starts again in %g s"
        log.error(text, supervised.name, wait, exc_info=fault)
        self._observer.faltered(supervised.name, fault, wait)
        return wait

    def _turn(self, supervised: Supervised, state: Literal["running", "waiting", "done"]) -> None:
        supervised.state, supervised.since = state, self._clock.monotonic()


def _is_cancelled() -> bool:
    """Whether the task itself was asked to end, not only something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def within(seconds: float, awaited: Awaitable[Any]) -> bool:
    """Wait for something, at most so many seconds; whether it came about."""
    try:
        async with asyncio.timeout(seconds):
            await awaited
    except TimeoutError:
        return False
    return True
