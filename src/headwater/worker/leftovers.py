"""What goes on when a worker is to end: invocations, and tasks and threads that outlive theirs. Owns finding
it, and saying where it stands.

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
from collections.abc import Callable, Iterable, Iterator
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
    """What invocations have begun in this process. `relative` gives the path of a project file, else None;
    `running` the invocations themselves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.relative: Callable[[str], str | None] = lambda _: None
        self.running: Callable[[], Iterable[Invocation]] = tuple
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
        return [*self._invocations(), *self._tasks(), *self._threads()]

    def _invocations(self) -> Iterator[Leftover]:
        """Each where its innermost code stands."""
        for invocation in self.running():
            within = invocation.within[-1:]
            if invocation.has_ended or not within:
                continue
            at = within[0]
            frames = _frames_of(at, self._loop) if isinstance(at, asyncio.Task) else _frames_in(at)
            yield self._standing("An invocation", invocation, list(frames))

    def _tasks(self) -> Iterator[Leftover]:
        for task in asyncio.all_tasks(self._loop):
            if not isinstance(task, UserTask) or task.invocation is None or task.done():
                continue
            if task.get_name() != INVOCATION:
                what = f"A task {_whose(task.invocation)}"
                yield self._standing(what, task.invocation, list(_frames_of(task, self._loop)))

    def _threads(self) -> Iterator[Leftover]:
        for thread in threading.enumerate():
            invocation = self._begun.get(thread)
            if invocation is None or thread.name.startswith(OWN_THREADS):
                continue
            stack = list(_frames_in(thread.ident))
            if not stack or stack[-1].f_code is _EXECUTOR:
                continue
            if not thread.daemon or any(map(self._is_own, stack)):
                yield self._standing(f"A thread {_whose(invocation)}", invocation, stack)

    def _standing(self, what: str, invocation: Invocation, frames: list[FrameType]) -> Leftover:
        own = [frame for frame in frames if self._is_own(frame)] or frames
        if not own:
            return Leftover(what, invocation, "", 0, "")
        code = own[-1].f_code
        file = self.relative(code.co_filename) or code.co_filename
        return Leftover(what, invocation, file, own[-1].f_lineno, code.co_name)

    def _is_own(self, frame: FrameType) -> bool:
        return self.relative(frame.f_code.co_filename) is not None


def _whose(invocation: Invocation) -> str:
    return "that went on after its invocation" if invocation.has_ended else "of an invocation"


def _frames_in(thread: int | None) -> Iterator[FrameType]:
    """The frames of a thread, outermost first."""
    return _callers(sys._current_frames().get(thread or 0))  # pyright: ignore[reportPrivateUsage]


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    """A thread's frames, outermost first."""
    found: list[FrameType] = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return reversed(found)


def _frames_of(task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> Iterator[FrameType]:
    """The frames of a task, outermost first: of what it awaits, or of the thread if it is at work now."""
    if asyncio.current_task(loop) is task:
        yield from _frames_in(threading.main_thread().ident)
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
