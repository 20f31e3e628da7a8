"""One invocation and the calls it has open. Owns the moment at which an invocation ends; runs nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import orjson

from headwater.protocol.workers.messages import Message, Whose

if TYPE_CHECKING:
    from headwater.worker.calls import Call

MAX_FAILURES = 20
"""Most failed calls that an invocation keeps for the log; the others are counted."""


class Invocation:
    """One run of user code, from `invoke` to `result`.

    `run` is the id of the run that it is an attempt of, empty for a request; `attempt` counts from 1.
    `resumed`: an attempt at its run has begun before. `plain`: it runs plain functions, which nothing stops.
    `cancelled` tells that the server asked for its end; `stop`, once set, asks the running code to end.
    `within` is what runs its code, tasks and threads (by their identifiers), each waiting for the next.
    """

    __slots__ = (
        "_cause",
        "_ended",
        "_lock",
        "_message",
        "_open",
        "_wake",
        "attempt",
        "auth",
        "blocked",
        "cancelled",
        "failures",
        "file",
        "flows",
        "id",
        "kind",
        "more_failures",
        "of_run",
        "plain",
        "resumed",
        "run",
        "step",
        "stop",
        "trace",
        "within",
    )

    def __init__(self, message: Message) -> None:
        header = message.header
        self._message = message
        self.id: int = header["id"]
        self.kind: str = header["kind"]
        self.file: str = header["file"]
        self.step: str = header["step"]
        self.trace: str = header["trace"]
        self.run: str = header.get("run") or ""
        self.attempt: int = header.get("attempt") or 1
        self.resumed: bool = header.get("resumed") is True
        self.auth: Any = header.get("auth")
        """The context of whoever's request caused it, None for nobody. User code may change it."""
        self._cause = _cause(header) if "auth" in header or "origin" in header else b""
        self.plain = False
        self.of_run: Any = None
        """What `ctx` offers of the run, once it is asked for."""
        self.flows: list[Any] = header["flows"]
        self.blocked = False
        self.cancelled = False
        self.stop: Callable[[], object] | None = None
        self.within: list[asyncio.Task[Any] | int] = []
        self.failures: list[Call] = []
        self.more_failures = 0
        self._lock = threading.Lock()
        self._open = 0
        self._ended = False
        self._wake: Callable[[], None] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its calls are settled and only its result is to be sent."""
        return self._ended

    def let_go(self) -> None:
        """Let go of what runs its code: its task holds it, and would wait for the collector with it. A thread
        may go on after it, and takes itself off the list that it knows."""
        self.within = []

    def take_message(self) -> Message:
        """What the server sent, once: what outlives the invocation must not keep a large body."""
        message, self._message = self._message, Message({})
        return message

    def whose(self) -> Whose:
        """Whose logs and calls these are, as of now."""
        return Whose(None if self._ended else self.id, self.trace, self.step)

    def late(self) -> dict[str, Any]:
        """What a call says that is made after the end: whose it is, and who caused that."""
        cause: dict[str, Any] = orjson.loads(self._cause) if self._cause else {}
        return {**self.whose()._asdict(), **cause}

    def call_begins(self) -> bool:
        """Count a call; False if the invocation has ended, so that the call stands alone."""
        with self._lock:
            if not self._ended:
                self._open += 1
            return not self._ended

    def call_ends(self, call: Call) -> None:
        """A counted call is settled."""
        if call.error is not None:
            if len(self.failures) < MAX_FAILURES:
                self.failures.append(call)
            else:
                self.more_failures += 1
        with self._lock:
            self._open -= 1
            wake = self._wake if self._open == 0 else None
        if wake is not None:
            wake()

    def _try_end(self, wake: Callable[[], None]) -> bool:
        with self._lock:
            if self._open == 0:
                self._ended = True
            self._wake = None if self._ended else wake
            return self._ended

    def end_at_once(self) -> bool:
        """End it unless a call is open, as nearly none is; whether it has ended."""
        with self._lock:
            self._ended = self._open == 0
            return self._ended

    def end(self) -> None:
        """Wait in this thread until no call is open; from then on the invocation has ended."""
        settled = threading.Event()
        while not self._try_end(settled.set):
            settled.wait()
            settled.clear()

    async def end_on_loop(self) -> None:
        """The same without blocking the loop. A cancellation does not shorten it: the calls have begun."""
        loop = asyncio.get_running_loop()
        settled = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(settled.set)

        while not self._try_end(wake):
            try:
                await settled.wait()
            except asyncio.CancelledError:
                continue
            settled.clear()


def _cause(header: dict[str, Any]) -> bytes:
    """What the server told of who caused it, as it was before user code had it."""
    return orjson.dumps({name: header[name] for name in ("auth", "origin") if name in header})


current: ContextVar[Invocation | None] = ContextVar("headwater_invocation", default=None)
"""The invocation that the running code belongs to, also in tasks it created."""
