"""What has not begun on a stalled worker is asked back, but not without end."""

from __future__ import annotations

from typing import Any, cast

from headwater.clock import SystemClock
from headwater.model import Origin
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.worker import MOST_WITHDRAWALS, Worker


class Wire:
    """The process's end: keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> int:
        self.sent.append(message)
        return 0


class Pool:
    """Gives what is given back to the same worker again."""

    worker: Worker
    returned = 0

    def given_back(self, invocation: Invocation) -> None:
        self.returned += 1
        self.worker.give(invocation, thread=False)


async def test_an_invocation_is_taken_away_at_most_so_often_and_then_stays() -> None:
    wire, pool = Wire(), Pool()
    pool.worker = worker = Worker(cast(Any, pool), cast(Any, None), SystemClock(), stall_after=1.0)
    worker._process = cast(Any, wire)  # pyright: ignore[reportPrivateUsage]
    invocation = Invocation("a", Origin("a"), cast(Any, None), lambda task: protocol.invoke(task, "api", {}))
    worker.give(invocation, thread=False)
    for _ in range(2 * MOST_WITHDRAWALS):
        before = len(wire.sent)
        worker.withdraw_unstarted()
        if len(wire.sent) > before:
            worker._receive(protocol.withdrawn(invocation.id, ok=True))  # pyright: ignore[reportPrivateUsage]
    assert pool.returned == invocation.withdrawals == MOST_WITHDRAWALS
    assert list(worker.running.values()) == [invocation]
