"""The event loop of async user code, and who holds it. Owns the loop's setup and the watchdog."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any, Protocol

from headwater.worker.invocation import Invocation, current

EXECUTOR_THREADS = 64
"""Threads of `asyncio.to_thread` on the shared loop; asyncio's own default is 4 more than the cores."""

TICKS = 5
"""How often the watchdog looks within the time that an invocation may hold the loop."""

LONGEST_TICK = 0.02
"""Seconds between two looks at most: twice that an answer may lie here while something holds the loop."""


INVOCATION = "headwater-invocation"
"""The name of tasks that run an invocation or, where plain middleware waits for it, the rest of one."""


class UserTask(asyncio.Task[Any]):
    """A task that knows the invocation that created it, directly or through other tasks."""

    invocation: Invocation | None = None


def _make_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
    **more: Any,
) -> UserTask:
    task = UserTask(work, loop=loop, context=context, **more)  # pyright: ignore[reportArgumentType]
    task.invocation = current.get() if context is None else context.get(current)
    return task


def new_user_loop() -> asyncio.AbstractEventLoop:
    """The loop of all async user code of this process: uvloop's where it is there, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    loop.set_task_factory(_make_task)
    loop.set_default_executor(ThreadPoolExecutor(EXECUTOR_THREADS, thread_name_prefix="asyncio"))
    return loop


class Unsent(Protocol):
    """What is to be sent when the loop has done what it has ready."""

    @property
    def waits(self) -> bool:
        """Whether there is any."""
        ...

    def send_if_late(self) -> None:
        """Have what was there at the last look already be sent without the loop."""
        ...


class Watchdog:
    """Notices, from a thread of its own, when one invocation holds the loop for `limit` seconds.

    Costs nothing while no invocation runs on the loop. While some do, it looks a few times within the limit
    which task is at work; only when it finds one does it ask the loop for a sign of life. `on_blocked` is
    told the invocation and the seconds so far, once per invocation. `excused` tells whether what holds the
    loop's thread now is the server, which does not read: no fault of user code.

    It also sees to what the loop was to send at the end of its turn (`unsent`) and has not come to.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: float,
        on_blocked: Callable[[Invocation, float], None],
        excused: Callable[[], bool],
        unsent: Unsent,
    ) -> None:
        self._loop = loop
        self._limit = limit
        self._on_blocked = on_blocked
        self._excused = excused
        self._unsent = unsent
        self._running = 0
        self._sleeping = False
        self._busy = threading.Event()
        self._alive = threading.Event()

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._watch, name="headwater-watchdog", daemon=True).start()

    def enter(self) -> None:
        """An invocation begins on the loop; called on it."""
        self._running += 1
        if self._sleeping:
            self._busy.set()

    def leave(self) -> None:
        """An invocation has ended on the loop; called on it."""
        self._running -= 1

    def _watch(self) -> None:
        while True:
            self._unsent.send_if_late()
            if self._running == 0:
                self._sleep()
            time.sleep(min(self._limit / TICKS, LONGEST_TICK))
            task = asyncio.current_task(self._loop)
            if isinstance(task, UserTask) and task.invocation is not None and not task.invocation.blocked:
                self._suspect(task, task.invocation)

    def _sleep(self) -> None:
        """Wait until an invocation begins. Whoever enters wakes a thread that sleeps and else only counts."""
        self._busy.clear()
        self._sleeping = True
        # Else one has entered before it could know of a sleeper, or has ended and its answer is not sent.
        if self._running == 0 and not self._unsent.waits:
            self._busy.wait()
        self._sleeping = False

    def _suspect(self, task: UserTask, invocation: Invocation) -> None:
        """Wait for a sign of life. It stays out while the task is at work and does not give way."""
        begun = time.monotonic()
        self._alive.clear()
        self._loop.call_soon_threadsafe(self._alive.set)
        if self._alive.wait(self._limit):
            return
        if asyncio.current_task(self._loop) is task and not self._excused():
            invocation.blocked = True
            self._on_blocked(invocation, round(time.monotonic() - begun, 3))
        self._alive.wait()
