"""Runs invocations: where, in which order of messages, and what becomes of their outcome.

Whoever reads hands in what the server says, nearly always the loop; user code runs on it or in threads. Owns
the state of every invocation from `invoke` to `result`; knows no socket, and of a kind of invocation only its
entry in `kinds.py`.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context as Variables
from typing import Any, NamedTuple

from headwater.errors import HeadwaterError, InvalidInput, NotSupportedYet
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.worker.calls import Call, Calls
from headwater.worker.chain import AsyncChain, Link, is_plain, run_plain
from headwater.worker.context import Context, ContextParts, Logger
from headwater.worker.faults import called_by_user, handler_failed
from headwater.worker.invocation import Invocation, current
from headwater.worker.kinds import KINDS
from headwater.worker.lifespan import Lifespan
from headwater.worker.loglines import call_failed, log_line, send_log
from headwater.worker.loop import INVOCATION, Watchdog
from headwater.worker.project.declaring import Declared, nothing_declared
from headwater.worker.state import OldState
from headwater.worker.threads import Threads


class Outlets(NamedTuple):
    """Where messages go: `send` blocks while the server does not read, `reply` never does. `send_soon` is for
    the loop alone, which sends it with the next message or at the end of its turn."""

    send: Callable[[Message], None]
    send_soon: Callable[[Message], None]
    reply: Callable[[Message], None]


class Runner:
    """All invocations of the process. `on_idle` is called, from any thread, when it has drained. `tolerant`:
    values of state put up with old code, see `OldState`."""

    def __init__(
        self,
        outlets: Outlets,
        loop: asyncio.AbstractEventLoop,
        threads: Threads,
        watchdog: Watchdog,
        on_idle: Callable[[], None],
        *,
        tolerant: bool = True,
    ) -> None:
        self._send = outlets.send
        self._send_soon = outlets.send_soon
        self._reply = outlets.reply
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._threads = threads
        self._watchdog = watchdog
        self._on_idle = on_idle
        self._declared = nothing_declared()
        self._names: frozenset[str] | None = None
        self._waiting: dict[int, Invocation] = {}
        self._running: dict[int, Invocation] = {}
        self._draining = False
        self.lifespan = Lifespan(loop, outlets.send, Logger(outlets.send, None))
        self._opening: set[asyncio.Task[None]] = set()
        self.calls = Calls(outlets.send, self._lost)
        old_state = OldState(outlets.send, tolerant=tolerant)
        self._parts = ContextParts(
            self.calls, outlets.send, lambda: self._names, old_state, lambda: self.lifespan.app
        )

    def adopt(self, declared: Declared) -> None:
        """Take the functions that may be invoked."""
        self._declared = declared
        self.lifespan.adopt(declared.lifespan)

    def know(self, names: Sequence[str]) -> None:
        """Take the names of the project's streams."""
        self._names = frozenset(names)

    # --- what the server says; on the thread that reads ---

    def invoke(self, message: Message) -> None:
        """Run something, soon."""
        invocation = Invocation(message)
        self._waiting[invocation.id] = invocation
        if self.lifespan.is_open:
            self._dispatch(invocation)
        else:
            self._loop.call_soon_threadsafe(self._open_first, invocation)

    def _dispatch(self, invocation: Invocation) -> None:
        chain = self._chain(invocation)
        if chain and is_plain(chain):
            self._threads.submit(functools.partial(self._run_plain, invocation, chain), invocation.file)
        elif threading.get_ident() == self._loop_thread:
            self._begin(invocation)
        else:
            self._loop.call_soon_threadsafe(self._begin, invocation)

    def withdraw(self, number: int) -> None:
        """Give an invocation back, if it has not started."""
        given = self._waiting.pop(number, None) is not None
        self._reply(protocol.withdrawn(number, ok=given))
        self._look_idle()

    def cancel(self, number: int) -> None:
        """Stop an invocation: one that has not started ends here, others as far as Python lets them."""
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            error = {
                "code": "HANDLER_FAILED",
                "message": "It was cancelled before it started.",
                "cancelled": True,
            }
            self._reply(protocol.failure(number, error))
            self._look_idle()
        elif (running := self._running.get(number)) is not None:
            running.cancelled = True
            if running.stop is not None:
                running.stop()

    def is_busy(self) -> bool:
        """Whether something runs or is to."""
        return bool(self._running or self._waiting)

    def running(self) -> Iterable[Invocation]:
        """What runs now; from any thread."""
        return list(self._running.values())

    def drain(self) -> None:
        """No more invocations come; `on_idle` is called, perhaps often, when the last one has ended."""
        self._draining = True
        self._look_idle()

    def _look_idle(self) -> None:
        if self._draining and not self._waiting and not self._running:
            self._on_idle()

    # --- running ---

    def _chain(self, invocation: Invocation) -> tuple[Link, ...]:
        """The functions to run; none where the file declares none, or the kind cannot be run."""
        kind = KINDS.get(invocation.kind)
        return () if kind is None else self._declared.functions[kind.functions].get(invocation.file, ())

    def _start(self, invocation: Invocation) -> bool:
        """Make it running, unless it was withdrawn or cancelled; whoever pops it from the waiting has it."""
        self._running[invocation.id] = invocation
        if self._waiting.pop(invocation.id, None) is None:
            del self._running[invocation.id]
            return False
        self._send(protocol.started(invocation.id))
        return True

    def _open_first(self, invocation: Invocation) -> None:
        # As a task of its own, which is none of the invocation's: it has not started.
        task = self._loop.create_task(self._after_opening(invocation), context=Variables())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _after_opening(self, invocation: Invocation) -> None:
        failed = await self.lifespan.enter()
        if failed is None:
            self._dispatch(invocation)
        elif self._start(invocation):
            self._end(invocation, protocol.failure(invocation.id, failed), self._send_soon)

    def _begin(self, invocation: Invocation) -> None:
        variables = Variables()
        variables.run(current.set, invocation)
        task = self._loop.create_task(self._run_on_loop(invocation), name=INVOCATION, context=variables)
        invocation.within.append(task)
        invocation.stop = lambda: self._loop.call_soon_threadsafe(task.cancel)

    async def _run_on_loop(self, invocation: Invocation) -> None:
        self._watchdog.enter()
        try:
            await self._run(invocation)
        finally:
            self._watchdog.leave()

    async def _run(self, invocation: Invocation) -> None:
        if not self._start(invocation):
            return
        message = await self._outcome(invocation)
        invocation.stop = None
        if not invocation.end_at_once():
            await invocation.end_on_loop()
        self._end(invocation, message, self._send_soon)

    async def _outcome(self, invocation: Invocation) -> Message:
        chain = self._chain(invocation)
        if not chain:
            return _refused(invocation)
        try:
            run = AsyncChain(self._threads, invocation, chain, self._arguments(invocation))
            returned = await run.run()
        except BaseException as error:
            return _failed(invocation, error)
        return _succeeded(invocation, returned)

    def _run_plain(self, invocation: Invocation, chain: Sequence[Link]) -> None:
        invocation.plain = True
        invocation.within.append(threading.get_ident())
        if not self._start(invocation):
            return
        variables = Variables()
        variables.run(current.set, invocation)
        message = variables.run(self._plain_outcome, invocation, chain)
        invocation.end()
        self._end(invocation, message, self._send)

    def _plain_outcome(self, invocation: Invocation, chain: Sequence[Link]) -> Message:
        try:
            returned = run_plain(chain, self._arguments(invocation))
            if asyncio.iscoroutine(returned):
                # A plain function may hand on what an async one gave it, which knows the common loop.
                returned = asyncio.run_coroutine_threadsafe(returned, self._loop).result()
        except BaseException as error:
            return _failed(invocation, error)
        return _succeeded(invocation, returned)

    def _arguments(self, invocation: Invocation) -> tuple[Any, ...]:
        def context() -> Context:
            return Context(self._parts, invocation)

        return KINDS[invocation.kind].arguments(invocation.take_message(), context)

    def _end(self, invocation: Invocation, message: Message, send: Callable[[Message], None]) -> None:
        invocation.let_go()
        for call in invocation.failures:
            if not call.observed:
                send_log(self._send, call_failed(invocation, call))
        if invocation.more_failures:
            said = f"{invocation.more_failures} more calls of this invocation failed."
            send_log(self._send, log_line("error", said, {}, invocation))
        try:
            send(message)
        except HeadwaterError as error:
            failed = {"code": "HANDLER_FAILED", "message": f"The response cannot be sent: {error.message}"}
            send(protocol.failure(invocation.id, failed))
        self._running.pop(invocation.id, None)
        self._look_idle()

    def _lost(self, invocation: Invocation, call: Call) -> None:
        # This may be whoever reads.
        self._reply(call_failed(invocation, call))


def _refused(invocation: Invocation) -> Message:
    error: HeadwaterError = InvalidInput(f"{invocation.file} declares nothing that can be run.")
    if invocation.kind not in KINDS:
        error = NotSupportedYet(f'A worker cannot run "{invocation.kind}" invocations yet.')
    return protocol.failure(invocation.id, error)


def _succeeded(invocation: Invocation, returned: Any) -> Message:
    try:
        return protocol.result(invocation.id, *KINDS[invocation.kind].result(returned))
    except BaseException as error:
        return _failed(invocation, error)


def _failed(invocation: Invocation, error: BaseException) -> Message:
    if isinstance(error, HeadwaterError) and error.code == "HANDLER_FAILED":
        return protocol.failure(invocation.id, error)
    if isinstance(error, TypeError) and not called_by_user(error):
        names = KINDS[invocation.kind].names
        error.add_note(f"Headwater calls it with ({', '.join(names)}), middleware with `next` behind them.")
    cancelled = invocation.cancelled and isinstance(error, asyncio.CancelledError)
    return protocol.failure(invocation.id, handler_failed(error, invocation.step, cancelled=cancelled))
