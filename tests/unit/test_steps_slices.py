"""What a worker sends is handed on a slice in each turn of the loop, so that one that floods stops nobody."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from headwater.protocol.workers.messages import Message
from headwater.steps.workers.process import Launch, WorkerProcess
from headwater.steps.workers.slices import SLICE, Slices

FLOOD = 20 * SLICE

FLOODING = f"""
import os, sys
from headwater.protocol.workers import messages as protocol
fd = int(os.environ[protocol.FD_VARIABLE])
os.set_blocking(fd, True)
frames = b"".join(b"".join(protocol.encode(protocol.pong(n), limit=1000)) for n in range({FLOOD}))
while frames:
    frames = frames[os.write(fd, frames):]
print("\\n".join(map(str, range({FLOOD}))), flush=True)
"""


class Ear:
    """Hears numbers, and whether their source is read."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.read: list[bool] = []
        self.slices = Slices(self.hear, self.read.append)

    def hear(self, number: int) -> None:
        self.heard.append(number)
        if number == 1:
            raise ValueError("one is bad")


async def test_what_is_little_is_handed_on_at_once() -> None:
    ear = Ear()
    ear.slices.take(iter(range(2, SLICE)))
    assert (ear.heard, ear.read, ear.slices.behind) == ([*range(2, SLICE)], [], False)


async def test_a_flood_is_handed_on_a_slice_in_each_turn_and_its_source_left_unread_till_its_end() -> None:
    ear = Ear()
    numbers = range(10, 10 + 2 * SLICE + 5)
    ear.slices.take(iter(numbers))
    lengths = [len(ear.heard)]
    while ear.slices.behind:
        assert ear.read == [False]
        await asyncio.sleep(0)
        lengths.append(len(ear.heard))
    assert lengths == [SLICE, 2 * SLICE, 2 * SLICE + 5]
    assert (ear.heard, ear.read) == ([*numbers], [False, True])


async def test_at_the_end_of_the_source_all_is_handed_on_once() -> None:
    ear = Ear()
    numbers = [*range(10, 10 + 3 * SLICE)]
    ear.slices.take(iter(numbers))
    ear.slices.finish()
    assert ear.heard == numbers
    await asyncio.sleep(0)
    assert ear.heard == numbers


async def test_one_that_cannot_be_handled_costs_itself_alone() -> None:
    ear = Ear()
    with pytest.raises(ValueError, match="one is bad"):
        ear.slices.take(iter(range(4)))
    await asyncio.sleep(0)
    assert (ear.heard, ear.slices.behind) == ([0, 1, 2, 3], False)


class Turns(logging.Handler):
    """Counts what comes in each turn of the loop: messages, and lines of the log."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = [0]
        self.total = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count()

    def count(self, _message: Message | None = None) -> None:
        if not self.counts[-1]:
            asyncio.get_running_loop().call_soon(self.counts.append, 0)
        self.counts[-1] += 1
        self.total += 1


async def test_no_turn_takes_more_than_a_slice_of_a_process_that_floods_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, lines = Turns(), Turns()
    log = logging.getLogger("headwater.user")
    monkeypatch.setattr(log, "handlers", [lines])
    monkeypatch.setattr(log, "level", logging.INFO)
    launch = Launch(tmp_path, 1000, command=[sys.executable, "-c", FLOODING])
    process = await WorkerProcess.start(launch, messages.count)
    assert await process.ended == "exit code 0"
    assert (messages.total, lines.total) == (FLOOD, FLOOD)
    assert max(messages.counts) <= SLICE
    assert max(lines.counts) <= SLICE
