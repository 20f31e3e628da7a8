"""One invocation: what is to run, where its calls go, and its end. Knows no process and no policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from headwater.errors import HeadwaterError, WorkerLost
from headwater.model import Origin
from headwater.protocol.workers.messages import Message, Task

Reply = Callable[[Message], None]
"""Sends an answer back to where a call came from; it never raises."""


class Calls(Protocol):
    """Whoever serves the calls that user code makes."""

    def take(self, call: Message, origin: Origin, reply: Reply) -> None:
        """Begin a call now, in order; `reply` gets its one answer later."""
        ...

    def refuse(self, error: HeadwaterError) -> None:
        """Answer every later call with this error."""
        ...


class Allowance:
    """How many invocations of one kind may wait for a worker, and what one too many is told.

    `most` is their number, `refuse` makes the error from it. A kind without one may wait without bound.
    """

    __slots__ = ("_refuse", "most", "waiting")

    def __init__(self, most: int, refuse: Callable[[int], HeadwaterError]) -> None:
        self.most = most
        self.waiting = 0
        self._refuse = refuse

    def refusal(self) -> HeadwaterError | None:
        """What one more is told; None while one more may wait."""
        return self._refuse(self.most) if self.waiting >= self.most else None


class Holder(Protocol):
    """Whoever holds an invocation until it ends: a pool."""

    def cancel(self, invocation: Invocation) -> None:
        """Nobody waits for it any more: stop it."""
        ...


class Invocation:
    """One run of user code.

    `frame` makes the message that starts it, `origin` is who its writes are made by. `done` gets the worker's
    `result` message, or an error when the worker is lost. `started` tells that user code has begun, `blocked`
    that it was seen to hold its loop. Before it has begun it can move to another worker; `withdrawals` counts
    how often it has, away from a stalled one. `allowance` bounds how many of its kind wait. `limit` is for
    how many seconds it may still go on once it is cancelled, None for ever; it is 0 when its time is over.
    """

    __slots__ = (
        "allowance",
        "blocked",
        "calls",
        "cancelled_at",
        "done",
        "file",
        "flows",
        "frame",
        "holder",
        "id",
        "limit",
        "losses",
        "origin",
        "started",
        "step",
        "thread",
        "trace",
        "withdrawals",
    )

    def __init__(
        self,
        file: str,
        origin: Origin,
        calls: Calls,
        frame: Callable[[Task], Message],
        *,
        flows: tuple[str, ...] = (),
        allowance: Allowance | None = None,
    ) -> None:
        self.file = file
        self.origin = origin
        self.step = origin.step
        self.trace = origin.trace
        self.flows = flows
        self.calls = calls
        self.frame = frame
        self.done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.holder: Holder | None = None
        self.id = 0
        self.losses = 0
        self.withdrawals = 0
        self.allowance = allowance
        self.limit: float | None = None
        self.reset()

    def reset(self) -> None:
        """As it was before it was given to a worker."""
        self.started = False
        self.blocked = False
        self.thread = False
        self.cancelled_at: float | None = None

    @property
    def waits(self) -> bool:
        """Whether it may wait for a worker at all."""
        return self.allowance is None or self.allowance.most > 0

    def task(self, *, thread: bool) -> Task:
        """What the protocol needs to name it."""
        return Task(self.id, self.file, self.step, self.trace, self.flows, thread)

    def finish(self, result: Message) -> None:
        """The worker has answered; nobody may be waiting any more."""
        if not self.done.done():
            self.done.set_result(result)

    def lose(self, how: str) -> None:
        """Its worker is gone; `how` says how it ended."""
        name = self.step or self.file
        message = f'The worker that ran "{name}" ended ({how}); the request was not finished.'
        self.fail(WorkerLost(message, step=self.step, trace=self.trace))

    def fail(self, error: BaseException) -> None:
        """It will not be answered."""
        if not self.done.done():
            self.done.set_exception(error)
