"""What lives as long as the worker: the project's lifespan, entered before the first invocation.

Owns when it is entered and left, and what is said when it fails. One task enters and leaves it, as task
groups and cancel scopes want it; the task belongs to no invocation. Knows no invocation.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from contextvars import Context
from types import TracebackType
from typing import Any

from headwater.errors import HeadwaterError
from headwater.protocol.workers import messages as protocol
from headwater.worker.faults import describe, innermost, traceback_text
from headwater.worker.loglines import Send, log_line, send_log
from headwater.worker.project.lifespan_file import LIFESPAN_FILE, LifespanFile

ENTER_SECONDS = 30.0
"""How long it may take to its yield; what waits for it fails then."""

LEAVE_SECONDS = 3.0
"""How long it may take from its yield to its end, before it is cancelled. The server kills a process that
has not ended five seconds after it was to."""

SLOW_SECONDS = 1.0
"""After so long it is told that all wait for it: one that holds the loop meets no limit here."""

CANCEL_SECONDS = 0.5
"""How long it may take after that."""


class LifespanFailed(HeadwaterError):
    """An invocation cannot run for want of what the lifespan yields."""

    code = "HANDLER_FAILED"


class Opening:
    """What a lifespan gets that takes a parameter."""

    __slots__ = ("logger",)

    def __init__(self, logger: Any) -> None:
        self.logger = logger


class Lifespan:
    """The lifespan of one worker; without a file there is nothing to enter and `app` is None.

    `relative` gives the path of a project file, None for any other. All but `app` is for the loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, send: Send, logger: Any) -> None:
        self.app: Any = None
        self.is_open = True
        """Whether invocations may begin; may be read from any thread."""
        self.relative: Callable[[str], str | None] = lambda _: None
        self._loop = loop
        self._send = send
        self._opening = Opening(logger)
        self._file: LifespanFile | None = None
        self._task: asyncio.Task[Any] | None = None
        self._opened: asyncio.Future[LifespanFailed | None] = loop.create_future()
        self._leaving = asyncio.Event()

    def adopt(self, file: LifespanFile | None) -> None:
        """Take what the project declares; before anything is invoked."""
        self._file = file
        self.is_open = file is None

    async def enter(self) -> LifespanFailed | None:
        """Enter it, unless it is entered; everyone who asks meanwhile waits for the same try.

        Gives what went wrong; whoever asks then tries anew.
        """
        if self.is_open:
            return None
        if self._task is None or self._task.done():
            self._opened = self._loop.create_future()
            self._task = self._start(self._live(self._opened))
        return await asyncio.shield(self._opened)

    async def leave(self) -> None:
        """Leave it, in a bounded time."""
        task = self._task
        if task is None:
            return
        self._leaving.set()
        with self._told_if_slow("after its yield; the end of its worker waits for it"):
            await asyncio.wait({task}, timeout=LEAVE_SECONDS)
        if not task.done():
            self._say(f"{LIFESPAN_FILE} did not end within {LEAVE_SECONDS:g} s and is cancelled", {})
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_SECONDS)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        # In a context of its own, for it belongs to no invocation, nor does what it begins.
        return self._loop.create_task(work, name="headwater-lifespan", context=Context())

    async def _live(self, opened: asyncio.Future[LifespanFailed | None]) -> None:
        # An error: of the file while it was loaded; before the yield; while it is open or is left.
        if self._file is None or self._file.enter is None:
            opened.set_result(_failed("cannot be used, see the problem that its load has shown"))
            return
        limit = asyncio.timeout(ENTER_SECONDS)
        try:
            async with AsyncExitStack() as stack:
                with self._told_if_slow("before its yield; what is to run waits for it"), self._told():
                    async with limit:
                        self.app = await stack.enter_async_context(self._file.enter(self._opening))
                self.is_open = True
                opened.set_result(None)
                await self._leaving.wait()
        except BaseException as error:
            if limit.expired():
                error = LifespanFailed(f"it took longer than {ENTER_SECONDS:g} s").with_traceback(
                    _trail(error)
                )
            self._tell(error, opened)
        finally:
            self.is_open, self.app = False, None

    def _tell(self, error: BaseException, opened: asyncio.Future[LifespanFailed | None]) -> None:
        when = "after its yield" if opened.done() else "before its yield"
        place = innermost(error, lambda filename: self.relative(filename) is not None)
        line = {} if place is None else {"file": self.relative(place[0]), "line": place[1]}
        at = "" if place is None else f" ({line['file']}:{line['line']})"
        said = str(error) if isinstance(error, LifespanFailed) else describe(error)
        if not (opened.done() and isinstance(error, asyncio.CancelledError)):
            self._say(
                f"{LIFESPAN_FILE} failed {when}: {said}{at}", {"traceback": traceback_text(error), **line}
            )
        if not opened.done():
            opened.set_result(_failed(f"failed {when}{at}, so nothing can run"))

    def _say(self, text: str, fields: Mapping[str, Any]) -> None:
        send_log(self._send, log_line("error", text, fields, None))

    @contextmanager
    def _told(self) -> Generator[None]:
        """Tell the server what runs: should it end the process, nobody else can say so."""
        self._send(protocol.loading(LIFESPAN_FILE))
        try:
            yield
        finally:
            self._send(protocol.loading(""))

    @contextmanager
    def _told_if_slow(self, where: str) -> Generator[None]:
        """Tell that it takes long, from a thread: it may hold the loop."""
        text = f"{LIFESPAN_FILE} is still busy {where}"
        line = log_line("warn", text, {"file": LIFESPAN_FILE, "seconds": SLOW_SECONDS}, None)
        timer = threading.Timer(SLOW_SECONDS, send_log, (self._send, line))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _trail(error: BaseException) -> TracebackType | None:
    """Where a time limit has met the code."""
    return (error.__cause__ or error).__traceback__


def _failed(what: str) -> LifespanFailed:
    return LifespanFailed(f"{LIFESPAN_FILE} {what}.", file=LIFESPAN_FILE)
