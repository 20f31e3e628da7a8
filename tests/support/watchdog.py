"""Ends a test that hangs, and says where it hung.

A signal does not: under uvloop its handler runs inside the loop, which logs what it raises and goes on. So a
thread watches the time. Past a test's limit it

1. writes the stack of every thread and of every task of the loop;
2. cancels the task that the loop runs (a coroutine), or raises in the main thread (a plain function), so that
   this test fails, its fixtures end, and the next test runs;
3. if that does not end it within the grace time, ends the process, also where no Python can run any more.
   pytest-xdist then names the test, fails it, and goes on with another process.

The limit is `hangs_after` in pyproject.toml, or `@pytest.mark.may_take(SECONDS)` on a test; the grace time is
`hangs_grace`. With `--pdb` there is none.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any, ClassVar, TextIO

import pytest
import uvloop


class Hung(BaseException):
    """What is raised in a plain function that ran past its limit; no `except Exception` holds it."""


class WatchedLoop(uvloop.Loop):
    """The loop that tests run on, which knows what it was asked to complete."""

    running: ClassVar[WatchedLoop | None] = None
    _asked: asyncio.Future[Any] | None = None

    def run_until_complete(self, future: Any) -> Any:
        """As uvloop does."""
        before, WatchedLoop.running = WatchedLoop.running, self
        self._asked = future if isinstance(future, asyncio.Future) else None
        try:
            return super().run_until_complete(future)
        finally:
            WatchedLoop.running, self._asked = before, None

    def cancel(self, why: str) -> None:
        """Cancel what it was asked to complete."""
        if self._asked is not None:
            self._asked.cancel(why)


class Watchdog:
    """The plugin of one process."""

    def __init__(self, config: pytest.Config) -> None:
        self._limit = float(config.getini("hangs_after"))
        self._grace = float(config.getini("hangs_grace"))
        self._inside = False
        """Whether code of a test or a fixture runs, not pytest's own: only there may something be raised."""
        # Capturing is off at this moment and takes the descriptor 2 later.
        self._told: TextIO = os.fdopen(os.dup(2), "w")
        signal.signal(signal.SIGALRM, self._raise)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch a test from the setup of its fixtures to their end."""
        marker = item.get_closest_marker("may_take")
        limit = float(marker.args[0]) if marker else self._limit
        timer = threading.Timer(limit, self._end, [item.nodeid, limit])
        timer.daemon = True
        timer.start()
        faulthandler.dump_traceback_later(limit + self._grace, exit=True, file=self._told)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()
            timer.cancel()

    def _within(self) -> Generator[None, object, object]:
        self._inside = True
        try:
            return (yield)
        finally:
            self._inside = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Fixtures begin."""
        return (yield from self._within())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """The test runs."""
        return (yield from self._within())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Fixtures end."""
        return (yield from self._within())

    def pytest_unconfigure(self) -> None:
        """Let go of the descriptor."""
        self._told.close()

    def _end(self, test: str, limit: float) -> None:
        loop = WatchedLoop.running
        self._told.write(f"\n\nHUNG for {limit:g} s: {test}\n")
        self._told.flush()
        faulthandler.dump_traceback(self._told, all_threads=True)
        try:
            for task in asyncio.all_tasks(loop) if loop else ():
                task.print_stack(file=self._told)
            self._told.flush()
        finally:
            if loop is not None:
                loop.call_soon_threadsafe(loop.cancel, f"{test} ran for more than {limit:g} s")
            elif (main := threading.main_thread().ident) is not None:
                signal.pthread_kill(main, signal.SIGALRM)

    def _raise(self, signum: int, frame: FrameType | None) -> None:
        if self._inside:
            raise Hung
