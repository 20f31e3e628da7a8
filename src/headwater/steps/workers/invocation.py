"""One invocation: what is to run, where its calls go, and its end. Knows no process and no policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from headwater.model import Origin
from headwater.protocol.workers.messages import Message, Task

Reply = Callable[[Message], None]
"""Sends an answer back to where a call came from; it never raises."""


class Calls(Protocol):
    """Whoever serves the calls that user code makes."""

    def take(self, call: Message, origin: Origin, reply: Reply) -> None:
        """Begin a call now, in order; `reply` gets its one answer later."""
        ...


class Holder(Protocol):
    """Whoever holds an invocation until it ends: a pool."""

    def cancel(self, invocation: Invocation) -> None:
        """Nobody waits for it any more: stop it."""
        ...


class Invocation:
    """One run of user code.

    `frame` makes the message that starts it. `done` gets the worker's `result` message, or an error when the
    worker is lost. `started` tells that user code has begun; before that it can move to another worker, and
    `withdrawn` tells that it has, away from a stalled one. `holding` tells that it was seen to hold the
    loop, which has not turned since. `waits`: it may wait among the requests of HTTP for a free worker.
    """

    __slots__ = (
        "calls",
        "cancelled_at",
        "done",
        "flows",
        "frame",
        "holder",
        "holding",
        "id",
        "losses",
        "started",
        "step",
        "target",
        "thread",
        "trace",
        "waits",
        "withdrawing",
        "withdrawn",
    )

    def __init__(
        self,
        target: str,
        origin: Origin,
        calls: Calls,
        frame: Callable[[Task], Message],
        *,
        flows: tuple[str, ...] = (),
        waits: bool = True,
    ) -> None:
        self.target = target
        self.step = origin.step
        self.trace = origin.trace
        self.flows = flows
        self.waits = waits
        self.calls = calls
        self.frame = frame
        self.done: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.holder: Holder | None = None
        self.id = 0
        self.losses = 0
        self.withdrawn = False
        self.reset()

    def reset(self) -> None:
        """As it was before it was given to a worker."""
        self.started = False
        self.thread = False
        self.withdrawing = False
        self.holding = False
        self.cancelled_at: float | None = None

    @property
    def origin(self) -> Origin:
        """Who its writes are made by."""
        return Origin(self.step, self.trace)

    def task(self, *, thread: bool) -> Task:
        """What the protocol needs to name it."""
        return Task(self.id, self.target, self.step, self.trace, self.flows, thread)

    def finish(self, result: Message) -> None:
        """The worker has answered; nobody may be waiting any more."""
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: BaseException) -> None:
        """It will not be answered."""
        if not self.done.done():
            self.done.set_exception(error)
