"""User code that outlives its invocation: tasks and threads. Owns finding it, and saying where it stands.

A task knows the invocation that began it, directly or through other tasks; a thread is known by who started
it. What a library keeps going in the background does not count: of daemon threads only those count that run
code of the project now, of an executor's threads those that work.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NamedTuple, cast
from weakref import WeakKeyDictionary

from headwater.worker.invocation import Invocation, current
from headwater.worker.loop import INVOCATION, UserTask

OWN_THREADS = "headwater-"
"""How the names of threads begin that run no user code, or only what an invocation waits for."""

_EXECUTOR = concurrent.futures.thread._worker.__code__  # pyright: ignore[reportPrivateUsage]
"""What a thread of an executor runs; it is idle while this is its innermost code."""


class Leftover(NamedTuple):
    """Something that still runs: what, in words; whose; file, line and name of the code where it stands."""

    what: str
    invocation: Invocation
    file: str
    line: int
    code: str


class Leftovers:
    """What invocations have begun in this process. `relative` gives the path of a project file, else None."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.relative: Callable[[str], str | None] = lambda _: None
        self._loop = loop
        self._begun: WeakKeyDictionary[threading.Thread, Invocation] = WeakKeyDictionary()

    def watch_threads(self) -> None:
        """From now on note who starts a thread: an invocation, or a thread that one has started."""
        start = threading.Thread.start

        @functools.wraps(start)
        def noted(thread: threading.Thread) -> None:
            invocation = current.get() or self._begun.get(threading.current_thread())
            if invocation is not None:
                self._begun[thread] = invocation
            start(thread)

        threading.Thread.start = noted  # pyright: ignore[reportAttributeAccessIssue]

    def find(self) -> list[Leftover]:
        """What runs now; from any thread."""
        return [*self._tasks(), *self._threads()]

    def _tasks(self) -> Iterator[Leftover]:
        for task in asyncio.all_tasks(self._loop):
            if not isinstance(task, UserTask) or task.invocation is None or task.done():
                continue
            what = "A task that went on after its invocation"
            if task.get_name() == INVOCATION:
                if task.invocation.has_ended:
                    continue
                what = "An invocation"
            yield self._standing(what, task.invocation, list(_frames_of(task, self._loop)))

    def _threads(self) -> Iterator[Leftover]:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        for thread in threading.enumerate():
            invocation = self._begun.get(thread)
            if invocation is None or thread.name.startswith(OWN_THREADS):
                continue
            stack = list(_callers(frames.get(thread.ident or 0)))
            if not stack or stack[-1].f_code is _EXECUTOR:
                continue
            if not thread.daemon or any(map(self._is_own, stack)):
                yield self._standing("A thread that went on after its invocation", invocation, stack)

    def _standing(self, what: str, invocation: Invocation, frames: list[FrameType]) -> Leftover:
        own = [frame for frame in frames if self._is_own(frame)] or frames
        if not own:
            return Leftover(what, invocation, "", 0, "")
        code = own[-1].f_code
        file = self.relative(code.co_filename) or code.co_filename
        return Leftover(what, invocation, file, own[-1].f_lineno, code.co_name)

    def _is_own(self, frame: FrameType) -> bool:
        return self.relative(frame.f_code.co_filename) is not None


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """A thread's frames, outermost first."""
    found: list[FrameType] = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return reversed(found)


def _frames_of(task: UserTask, loop: asyncio.AbstractEventLoop) -> Iterator[FrameType]:
    """The frames of a task, outermost first: of what it awaits, or of the thread if it is at work now."""
    if asyncio.current_task(loop) is task:
        running = sys._current_frames().get(threading.main_thread().ident or 0)  # pyright: ignore[reportPrivateUsage]
        yield from _callers(running)
        return
    awaited: Any = task.get_coro()
    while awaited is not None:
        kind = next((kind for kind in ("cr", "gi", "ag") if hasattr(awaited, f"{kind}_frame")), None)
        if kind is None:
            return
        frame = cast(FrameType | None, getattr(awaited, f"{kind}_frame"))
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await", None)
