"""Tests that hang, each in its own way; `tests/integration/test_watchdog.py` runs them, nothing else does."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import AsyncIterator

import pytest


async def test_before() -> None:
    pass


async def test_waits_for_nothing() -> None:
    await asyncio.get_running_loop().create_future()


async def test_catches_what_fails() -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except Exception:
            continue


@pytest.fixture
async def endless() -> AsyncIterator[None]:
    yield
    await asyncio.Event().wait()


async def test_has_a_fixture_that_does_not_end(endless: None) -> None:
    pass


def test_waits_without_a_loop() -> None:
    threading.Event().wait()


async def test_between() -> None:
    pass


async def test_holds_up_the_loop() -> None:
    threading.Event().wait()


def test_never_comes_back_to_python() -> None:
    ctypes.PyDLL(None).pause()  # It keeps the interpreter's lock; a signal would end it, and none comes.


async def test_after() -> None:
    pass
