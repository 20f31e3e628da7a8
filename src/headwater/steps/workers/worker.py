"""One loaded worker: the invocations on it, its pulse, its end. Speaks the protocol, decides nothing.

What to give it, when to doubt it and when to replace it is the pool's (`pool.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from headwater.clock import Clock
from headwater.errors import TimedOut, TooLarge, WorkerLost
from headwater.logline import Line, tell
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.invocation import Calls, Invocation
from headwater.steps.workers.once import Once
from headwater.steps.workers.process import Launch, WorkerProcess
from headwater.steps.workers.pulse import LARGE, Freight, Pulse

log = logging.getLogger("headwater.steps")
user_log = logging.getLogger("headwater.user")

SLOW_LOAD = 5.0
"""Seconds after which a file that is still being loaded is named."""

MOST_WITHDRAWALS = 10
"""How often an invocation is taken away from stalled workers; each time its frame is sent once more."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class Listener(Protocol):
    """What a worker tells whoever gives it work."""

    def given_back(self, invocation: Invocation) -> None:
        """An invocation was withdrawn before it started."""
        ...

    def finished(self, invocation: Invocation) -> None:
        """An invocation has ended."""
        ...

    def relieved(self) -> None:
        """The worker answers again."""
        ...

    def blocks(self, file: str, seconds: float) -> None:
        """A step was seen to hold its worker's loop."""
        ...


class Worker:
    """A worker that has loaded its generation. Made by `load`.

    `has_lanes` tells that it can run invocations beside its loop, marked `thread`. `held_by` is the one seen
    to hold the loop, which has not turned since. `given_at` is when it was given something last, `idle_since`
    when the last one ended. `asked_back_at` is since when it owes an answer to a withdrawal, which it can
    give whatever holds its loop.
    """

    def __init__(
        self,
        listener: Listener,
        late_calls: Calls,
        clock: Clock,
        *,
        stall_after: float,
        once: Once | None = None,
    ) -> None:
        self._once = once if once is not None else Once()
        self.pulse = Pulse(stall_after)
        self.running: dict[int, Invocation] = {}
        self.draining = False
        self.has_lanes = False
        self.held_by: Invocation | None = None
        self.idle_since = self.given_at = clock.monotonic()
        self._unstarted: dict[int, Invocation] = {}
        self._cancelled: dict[int, Invocation] = {}
        self._on_loop: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._freight = Freight()
        self._listener = listener
        self._late_calls = late_calls
        self._clock = clock
        self.asked_back_at: float | None = None
        self._loading = ""
        self._process: WorkerProcess | None = None
        loop = asyncio.get_running_loop()
        self._manifest: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._receivers: dict[str, Callable[[Message], None]] = {
            "hello": self._on_hello,
            "manifest": self._on_manifest,
            "loading": self._on_loading,
            "started": self._on_started,
            "call": self._on_call,
            "result": self._on_result,
            "withdrawn": self._on_withdrawn,
            "pong": self._on_pong,
            "log": self._on_log,
            "blocked": self._on_blocked,
        }

    async def load(self, launch: Launch, message: Message, *, timeout: float) -> dict[str, Any]:
        """Start the process and have it load the project; answers its manifest. Once.

        :raises WorkerLost: it could not be started, or died while loading.
        :raises TimedOut: it took longer than `timeout` seconds. The process is gone in every such case.
        """
        try:
            self._process = await WorkerProcess.start(launch, self._receive)
        except OSError as fault:
            raise WorkerLost(f"A worker could not be started: {fault.strerror or fault}.") from fault
        try:
            self._process.send(message)
            return await self._loaded(timeout)
        except BaseException:
            await self._process.end()
            raise

    async def _loaded(self, timeout: float) -> dict[str, Any]:
        """The manifest. A file that takes long is named in the log, one that is to blame in the error."""
        ended = self.ended
        telling = asyncio.get_running_loop().call_later(SLOW_LOAD, self._tell_slow_load)
        await asyncio.wait({self._manifest, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        telling.cancel()
        if self._manifest.done():
            return self._manifest.result()
        file = {"file": self._loading} if self._loading else {}
        if ended.done():
            text = f"A worker ended while it loaded {self._loading or 'the project'} ({ended.result()})."
            raise WorkerLost(text, output=self.last_words, how=ended.result(), **file)
        raise TimedOut(
            f"{self._loading or 'The project'} did not load within {timeout:g} s.",
            hint="Something at the top of a file waits or computes; move it into the handler.",
            seconds=timeout,
            **file,
        ).at("workers.start_timeout", timeout)

    def _tell_slow_load(self) -> None:
        if self._loading:
            text = "%s, or what it imports, is still busy at its top; the project loads once that has ended"
            tell(log, logging.WARNING, Line(fields={"file": self._loading}), text, self._loading)

    @property
    def ended(self) -> asyncio.Future[str]:
        """Done when the process is gone; says how it ended."""
        assert self._process is not None
        return self._process.ended

    @property
    def process(self) -> WorkerProcess:
        """The process, once it is loaded."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid if self._process else 0

    @property
    def load_count(self) -> int:
        """How many invocations are on it."""
        return len(self.running)

    @property
    def loading(self) -> str:
        """The file whose top runs, or the lifespan's that is being entered; "" for none."""
        return self._loading

    @property
    def stalled(self) -> bool:
        """Whether its loop does not answer."""
        return self.pulse.stalled_since is not None

    @property
    def last_words(self) -> str:
        """The last lines of its standard error."""
        return "\n".join(self._process.last_words) if self._process else ""

    @property
    def files(self) -> Iterable[str]:
        """The files whose code is on it, for its loop."""
        return self._on_loop.keys()

    def may_be_held_by(self, file: str) -> bool:
        """Whether a file's code may be what holds its loop now, as far as it is not known who does."""
        return self.held_by is None and file in self._begun

    @property
    def longest_cancelled(self) -> Invocation | None:
        """The first of those that were cancelled and still run; where it is known who holds the loop, that
        one or none."""
        if self.held_by is not None:
            return self.held_by if self.held_by.cancelled_at is not None else None
        return next(iter(self._cancelled.values()), None)

    @property
    def at_work(self) -> Sequence[str]:
        """The files whose code has begun on it and not ended, each once."""
        return sorted({invocation.file for invocation in self.running.values() if invocation.started})

    def overdue(self, now: float, patience: float) -> list[Invocation]:
        """Those that go on though they were cancelled and their time is over, for `patience` seconds."""
        return [
            one
            for one in self._cancelled.values()
            if one.started
            and one.limit is not None
            and one.cancelled_at is not None
            and now - one.cancelled_at > one.limit + patience
        ]

    def announce(self, streams: Sequence[str]) -> None:
        """Tell the names of all streams of the project."""
        self._send(protocol.streams(streams))

    def give(self, invocation: Invocation, *, thread: bool) -> None:
        """Send an invocation; where something runs already a ping goes along or soon follows, to learn of a
        blocked loop."""
        invocation.thread = thread
        self.given_at = now = self._clock.monotonic()
        if self.running and self.pulse.want(now):
            self.ping()
        try:
            self._send(invocation.frame(invocation.task(thread=thread)))
        except Exception as error:
            # TooLarge, or values that are no JSON: the invocation's own fault, never the pool's.
            invocation.fail(error)
            return
        self.running[invocation.id] = invocation
        self._unstarted[invocation.id] = invocation
        if not thread:
            _count_up(self._on_loop, invocation.file)

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._send(protocol.ping(self.pulse.ask(self._clock.monotonic())))

    def withdraw_unstarted(self) -> None:
        """Ask back what has not begun, once each; what has been through it too often stays."""
        for invocation in self._unstarted.values():
            if invocation.withdrawals < MOST_WITHDRAWALS:
                self._send(protocol.withdraw(invocation.id))
                self.asked_back_at = self.asked_back_at or self._clock.monotonic()
        self._unstarted.clear()

    def cancel(self, invocation: Invocation, patience: float) -> None:
        """Ask it to stop, within `patience` seconds; it stays on the worker until it has ended."""
        if invocation.cancelled_at is None:
            invocation.cancelled_at = self._clock.monotonic()
            self._cancelled[invocation.id] = invocation
            self._send(protocol.cancel(invocation.id, patience))

    def drain(self, linger: float) -> None:
        """Give it nothing more; it ends once what runs on it has ended, and what invocations left running,
        at most `linger` seconds later."""
        if not self.draining:
            self.draining = True
            self._send(protocol.drain(linger))

    def end(self, reason: str) -> None:
        """End it soon; it tells first what it ends."""
        if self._process is not None:
            self._process.end_soon(reason)

    def kill(self, reason: str = "") -> None:
        """End it now."""
        if self._process is not None:
            self._process.kill(reason)

    def is_digesting(self, now: float) -> bool:
        """Whether it is still busy with large frames that it was sent."""
        return self._process is not None and self._freight.excuses(self._process.unsent, now)

    def _send(self, message: Message) -> None:
        if self._process is not None and (size := self._process.send(message)) >= LARGE:
            self._freight.sent(size, self._clock.monotonic())

    def _reply(self, message: Message) -> None:
        """Answer a call; an answer that fits no frame becomes an error."""
        try:
            self._send(message)
        except TooLarge as error:
            self._send(protocol.failure(message.header["id"], error))

    def _receive(self, message: Message) -> None:
        self._receivers[message.header["t"]](message)

    def _take_off(self, number: int) -> Invocation | None:
        """An invocation is no longer on it."""
        invocation = self.running.pop(number, None)
        if invocation is None:
            return None
        self._unstarted.pop(number, None)
        self._cancelled.pop(number, None)
        if not invocation.thread:
            _count_down(self._on_loop, invocation.file)
            if invocation.started:
                _count_down(self._begun, invocation.file)
        if self.held_by is invocation:
            self.held_by = None
        if not self.running:
            self.idle_since = self._clock.monotonic()
            self.pulse.owed = False
        return invocation

    def take_all(self) -> list[Invocation]:
        """What was on it, once its process is gone."""
        return [one for number in list(self.running) if (one := self._take_off(number)) is not None]

    def _on_hello(self, message: Message) -> None:
        version = message.header["protocol"]
        self.has_lanes = message.header.get("lanes") is True
        if version != protocol.PROTOCOL:
            self.kill(f"it speaks version {version} of the protocol, not {protocol.PROTOCOL}")

    def _on_loading(self, message: Message) -> None:
        self._loading = message.header["file"]

    def _on_manifest(self, message: Message) -> None:
        self._loading = ""
        if not self._manifest.done():
            self._manifest.set_result(message.header)

    def _on_started(self, message: Message) -> None:
        invocation = self.running.get(message.header["id"])
        if invocation is not None and not invocation.started:
            invocation.started = True
            self._unstarted.pop(invocation.id, None)
            if not invocation.thread:
                _count_up(self._begun, invocation.file)

    def _on_call(self, message: Message) -> None:
        header = message.header
        number = header["invocation"]
        invocation = self.running.get(number) if number is not None else None
        if invocation is not None:
            invocation.calls.take(message, invocation.origin, self._reply)
        else:
            self._late_calls.take(message, protocol.late_origin(header), self._reply)

    def _on_result(self, message: Message) -> None:
        invocation = self._take_off(message.header["id"])
        if invocation is not None:
            invocation.finish(message)
            self._listener.finished(invocation)

    def _on_withdrawn(self, message: Message) -> None:
        self.asked_back_at = None
        if not message.header["ok"]:
            return
        invocation = self._take_off(message.header["id"])
        if invocation is not None:
            invocation.reset()
            invocation.withdrawals += 1
            self._listener.given_back(invocation)

    def _on_pong(self, message: Message) -> None:
        self.held_by = self.asked_back_at = None
        if self.pulse.answer(message.header["n"], self._clock.monotonic()):
            self._listener.relieved()

    def _on_log(self, message: Message) -> None:
        header = message.header
        if (what := header.get("once")) is not None and not self._once.first(header["step"], what):
            return
        level = _LEVELS.get(header["level"], logging.INFO)
        fields = dict(header["fields"])
        # A worker has no other place for it; in the log it stands below the line.
        traceback = fields.pop("traceback") if isinstance(fields.get("traceback"), str) else ""
        line = Line(header["step"], header["trace"], fields, traceback)
        tell(user_log, level, line, "%s", header["message"])

    def _on_blocked(self, message: Message) -> None:
        invocation = self.running.get(message.header["id"])
        if invocation is not None:
            self.held_by = invocation
            invocation.blocked = True
            self._listener.blocks(invocation.file, message.header["seconds"])


# A Counter does the same in Python code, at several times the cost.


def _count_up(counts: dict[str, int], key: str) -> None:
    """One more."""
    counts[key] = counts.get(key, 0) + 1


def _count_down(counts: dict[str, int], key: str) -> None:
    """One less; what is not there is not listed."""
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
