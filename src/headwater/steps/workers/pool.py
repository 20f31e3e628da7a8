"""The pool of one generation: which worker gets which invocation, and what happens when a loop is blocked.

Owns dispatch and what waits. How many workers there are is `crew.py`'s and `sizes.py`'s, which of them are
doubted `tick.py`'s; sockets and processes are not seen here.

There are two crews. The main one takes everything until it is seen to block; what blocks then goes to the
workers apart, each of which runs one invocation at a time, so that it holds up nobody. A language whose
workers have lanes needs no workers apart: what blocks runs beside the loop of a main one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from headwater.errors import HeadwaterError, Overloaded, WorkerLost
from headwater.logline import Line, tell
from headwater.observe import Run, tell_limit
from headwater.protocol.workers.messages import Message
from headwater.steps.workers.blame import Blame
from headwater.steps.workers.blocking import Verdicts
from headwater.steps.workers.crew import Crew, Parts
from headwater.steps.workers.dispatch import choose
from headwater.steps.workers.invocation import Invocation
from headwater.steps.workers.sizes import Apart, Usual, held
from headwater.steps.workers.tick import Tick
from headwater.steps.workers.waiting import Waiting
from headwater.steps.workers.worker import Worker
from headwater.tasks import within

log = logging.getLogger("headwater.steps")

MOST_LOSSES = 2
"""Workers that an invocation may lose before it started, before it is given up."""

FAREWELL = 5.0
"""Seconds that a worker gets beyond its time to tell what it ends."""

BATCH = 200
"""Most invocations that are taken out of the lines in one turn of the loop; more follow in the next."""


class Pool:
    """The workers of one generation. `start`, then `open`, then `run`; `drain` or `kill` ends it."""

    def __init__(self, parts: Parts, load: Message) -> None:
        self._settings = parts.settings
        self._observer = parts.observer
        self._clock = parts.clock
        main, apart = list[Worker](), list[Worker]()
        self._verdicts = Verdicts(parts.settings, parts.clock, main, apart)
        self._blame = Blame(self._verdicts, parts.clock)
        self._usual = Usual(parts.settings, apart)
        self._crew = Crew(self, parts, load, self._usual, main)
        self._apart = Crew(self, parts, load, Apart(parts.settings, main, self._needed_apart), apart)
        self._waiting = Waiting()
        self._flushing = False
        self._crowded = False
        self._numbers = itertools.count(1)
        self._tick = Tick(self, parts, main, apart, self._waiting, self._verdicts)
        self._closed = False
        self._quiet = asyncio.Event()
        self._forward: Callable[[Invocation], None] = _refuse

    # --- life ---

    async def start(self) -> dict[str, Any]:
        """Start the first worker; answers its manifest.

        :raises WorkerLost: it died while loading.
        :raises TimedOut: it did not load in time.
        :raises TooLarge: the sources fit no frame.
        """
        manifest = await self._crew.start()
        self._verdicts.has_lanes = all(worker.has_lanes for worker in self._crew.workers)
        self._usual.replaces_held = not self._verdicts.has_lanes
        return manifest

    def open(self, streams: Sequence[str]) -> None:
        """Invocations may come: tell the workers the names of all streams, bring the pool to size."""
        self._crew.open(streams)
        self._apart.open(streams, self._crew.manifest)

    async def drain(
        self,
        timeout: float,
        forward: Callable[[Invocation], None] | None = None,
        *,
        linger: float | None = None,
    ) -> None:
        """Take nothing more, let what runs end within `timeout` seconds, then end it.

        What has not started goes to `forward`; without one it fails. What invocations left running may go on
        for `linger` seconds after the last of their worker; without it the server ends, and all of it within
        the same `timeout`.
        """
        self._close(forward)
        deadline = self._clock.monotonic() + timeout
        for crew in (self._crew, self._apart):
            crew.close(timeout if linger is None else linger)
        for worker in self._crew.workers:
            if worker.stalled:
                worker.withdraw_unstarted()
        setting = "server.shutdown_timeout" if linger is None else "workers.drain_timeout"
        reason = f"it was still busy {timeout:g} s after the end of its generation"
        try:
            if not await within(timeout, self._quiet.wait()):
                self._observer.limited(setting, timeout)
                for worker in (*self.workers, *self.apart):
                    if worker.running:
                        worker.end(reason)
            left = deadline - self._clock.monotonic() if linger is None else linger + FAREWELL
            await within(max(left, 0.0), asyncio.gather(self._crew.ended(), self._apart.ended()))
        finally:
            await asyncio.gather(self._crew.end(reason), self._apart.end(reason))
            await self.kill()

    async def kill(self, reason: str = "") -> None:
        """End all workers now; what runs on them fails."""
        self._close(None)
        await asyncio.gather(self._crew.kill(reason), self._apart.kill(reason))
        self._tick.end()

    def _close(self, forward: Callable[[Invocation], None] | None) -> None:
        self._forward = forward or self._forward
        self._closed = True
        for invocation in self._waiting.take_all():
            self._forward(invocation)
        self._look_if_quiet()

    def _look_if_quiet(self) -> None:
        if self._closed and not any(worker.running for worker in (*self.workers, *self.apart)):
            self._quiet.set()

    @property
    def workers(self) -> Sequence[Worker]:
        """The loaded workers that take everything, for people and tests."""
        return tuple(self._crew.workers)

    @property
    def apart(self) -> Sequence[Worker]:
        """The loaded workers of steps that block."""
        return tuple(self._apart.workers)

    @property
    def at_work(self) -> Sequence[str]:
        """The files whose code runs, each once."""
        return sorted({file for worker in (*self.workers, *self.apart) for file in worker.at_work})

    @property
    def blocking(self) -> frozenset[str]:
        """The files whose steps were seen to hold their loop, kill their process or not to stop, and are kept
        from the others since."""
        return frozenset(self._verdicts.blocking | self._verdicts.harmful)

    # --- invocations ---

    async def run(self, invocation: Invocation) -> Message:
        """Run it on some worker; answers the worker's `result`. Cancelled, it cancels the invocation.

        :raises WorkerLost: the worker that ran it died.
        :raises Overloaded: too many wait for a worker, or the pool is closed.
        :raises TooLarge: it fits no frame.
        """
        self.take(invocation)
        try:
            return await invocation.done
        except asyncio.CancelledError:
            if invocation.holder is not None:
                invocation.holder.cancel(invocation)
            raise

    def take(self, invocation: Invocation) -> None:
        """Give it to a worker, or let it wait for one."""
        if self._closed:
            self._forward(invocation)
            return
        if (pause := self._blame.refusal(invocation.file)) is not None:
            invocation.fail(pause)
            return
        invocation.holder, invocation.id = self, next(self._numbers)
        if invocation not in self._waiting and self._place(invocation):
            return
        refusal = invocation.allowance.refusal() if invocation.allowance is not None else None
        if refusal is not None:
            tell_limit(self._observer, refusal)
            invocation.fail(refusal)
            return
        self._waiting.add(invocation)
        self._apart.fill()
        self._look_if_crowded()
        self._tick.later()

    def cancel(self, invocation: Invocation) -> None:
        """Nobody waits for it any more: stop it, wherever it is."""
        for worker in (*self._crew.workers, *self._apart.workers):
            if worker.running.get(invocation.id) is invocation:
                worker.cancel(invocation, self._settings.drain_timeout)
                self._tick.later()
                return
        self._waiting.discard(invocation)

    # --- placing ---

    def _place(self, invocation: Invocation) -> bool:
        """Give an invocation to a worker that may take it now."""
        verdicts = self._verdicts
        if verdicts.is_apart(invocation.file):
            return self._place_apart(invocation)

        def risky(last: Worker) -> bool:
            return verdicts.is_risky(invocation, last, growing=self._crew.growing)

        worker = choose(self._crew.ready(), reserve=self._crew.size.reserve, risky=risky)
        if worker is None:
            return verdicts.may_go_apart(invocation) and self._place_apart(invocation)
        self._give(worker, invocation, thread=invocation.file in verdicts.blocking)
        self._tick.later()
        return True

    def _give(self, worker: Worker, invocation: Invocation, *, thread: bool) -> None:
        worker.give(invocation, thread=thread)
        if self._observer.listening:
            self._observer.invoked(Run(invocation.file, invocation.step, invocation.trace))

    def _place_apart(self, invocation: Invocation) -> bool:
        """Give it a worker for itself. What may block is as welcome there as what is known to."""
        worker = next((one for one in self._apart.ready() if not one.running), None)
        if worker is None:
            return False
        self._give(worker, invocation, thread=False)
        self._apart.fill()
        return True

    def _flush(self) -> None:
        """Place what waits, as far as possible and in order; the rest of a long line follows next turn."""
        if self._flushing:
            return
        left = BATCH
        for reason in self._waiting.reasons():
            while left and (first := self._waiting.first(reason)) is not None:
                if not first.done.done() and not self._place(first):
                    break
                self._waiting.discard(first)
                left -= 1
            if not left:
                self._waiting.served(reason)
                self._flush_soon()
                return

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush_on)

    def _flush_on(self) -> None:
        self._flushing = False
        self._flush()

    def looked(self) -> None:
        """All workers were looked at: place what may be placed now, mend what is short."""
        if self._waiting:
            self._verdicts.look()
            self._flush()
            self._apart.fill()
        self._crew.fill()

    # --- workers apart ---

    def _needed_apart(self) -> int | None:
        return self._verdicts.needed_apart(self._waiting)

    def _look_if_crowded(self) -> None:
        """Tell, once for each time, that what blocks has to wait."""
        kept = next((one.file for one in self._waiting.reasons() if self._verdicts.is_apart(one.file)), None)
        workers = self._apart.workers
        if kept is None:
            self._crowded = False
        elif not self._crowded and all(one.running for one in workers) and not self._apart.has_room:
            self._crowded = True
            self._observer.limited("workers.max_blocking", self._settings.max_blocking)
            line = Line(fields={"file": kept, "max_blocking": self._settings.max_blocking})
            tell(
                log,
                logging.WARNING,
                line,
                "All %d processes for steps that block are busy; %s waits for one, nothing else does",
                len(workers) + held(self._crew.workers),
                kept,
            )

    # --- what workers and crews tell ---

    def given_back(self, invocation: Invocation) -> None:
        """An invocation was withdrawn before it started: another worker gets it."""
        if not invocation.done.done():
            self.take(invocation)
        self._look_if_quiet()

    def finished(self, invocation: Invocation) -> None:
        """An invocation has ended, so its step is known to end."""
        if self._verdicts.ended(invocation):
            told = "%s has not held its worker for a long time; it runs among the others again"
            tell(log, logging.INFO, Line(fields={"file": invocation.file}), told, invocation.file)
        if self._closed:
            self._look_if_quiet()
        if self._waiting:
            self._flush()
            self._apart.fill()
        if self._crowded:
            self._look_if_crowded()

    def relieved(self) -> None:
        """A stalled worker answers again."""
        self._flush()

    def blocks(self, file: str, seconds: float) -> None:
        """A step holds its loop: from now on it is kept from the others."""
        if self._verdicts.blocks(file):
            self._observer.blocked(file, seconds)
            tell(
                log,
                logging.WARNING,
                Line(fields={"file": file}),
                "%s held its worker for %.0f ms; from now on it runs in a %s of its own",
                file,
                seconds * 1000,
                "thread" if self._verdicts.has_lanes else "process",
            )
        self._flush()
        self._crew.fill()
        self._apart.fill()

    def joined(self, worker: Worker) -> None:
        """There is one more worker."""
        self._flush()
        self._look_if_crowded()

    def past_use(self, worker: Worker, invocation: Invocation) -> None:
        """Something on a worker goes on long after its time: what else is on it may end there, what has not
        begun and what comes goes elsewhere."""
        self._blame.went_on(worker.pid, invocation, self._settings.drain_timeout)
        worker.withdraw_unstarted()
        worker.drain(self._settings.linger_timeout)
        self._crew.fill()
        self._apart.fill()

    def lost(self, worker: Worker, how: str) -> None:
        """A worker is gone: what ran on it fails, what had not started moves."""
        if worker.loading:
            self._blame.ended_at(worker.loading, how)
            how = f"{how}, in {worker.loading}"
        elif not worker.draining:
            self._blame.died(worker.at_work)
        for invocation in worker.take_all():
            invocation.losses += 1
            if invocation.started or invocation.losses >= MOST_LOSSES:
                invocation.lose(how)
            elif not invocation.done.done():
                invocation.reset()
                self.take(invocation)
        self._flush()
        self._look_if_quiet()

    def deserted(self, crew: Crew, fault: HeadwaterError) -> None:
        """Nobody can take what waits, and the next start may fail too."""
        for reason in self._waiting.reasons():
            if (crew is self._apart) is not self._verdicts.is_apart(reason.file):
                continue
            while (first := self._waiting.first(reason)) is not None:
                self._waiting.discard(first)
                first.fail(WorkerLost(f"No worker could be started: {fault.message}"))


def _refuse(invocation: Invocation) -> None:
    invocation.fail(Overloaded("The server is stopping.", hint="Try again in a moment."))
