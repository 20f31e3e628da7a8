"""A chain whose invocation has ended while one of its threads has not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from headwater.protocol.workers.messages import Message
from headwater.worker.chain import AsyncChain, links
from headwater.worker.invocation import Invocation
from headwater.worker.threads import Threads

PATIENCE = 10.0


async def test_a_thread_that_outlives_its_invocation_ends_without_a_word(
    capfd: pytest.CaptureFixture[str],
) -> None:
    header = {"t": "invoke", "id": 1, "kind": "api", "file": "f", "step": "s", "trace": "t", "flows": []}
    invocation = Invocation(Message(header))
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()

    async def middleware(following: Callable[[], Awaitable[object]]) -> object:
        return await following()

    def handler() -> None:
        begun.set()
        gate.wait(PATIENCE)

    threads = Threads(1)
    task = asyncio.create_task(AsyncChain(threads, invocation, links([middleware, handler]), ()).run())
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    task.cancel()
    await asyncio.wait({task})
    invocation.let_go()

    gate.set()
    threads.submit(ended.set)
    assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert capfd.readouterr().err == ""
