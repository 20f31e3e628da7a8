"""The process that runs Python user code, from its start to its end. Owns the wiring."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import platform
import queue
import signal
import socket
import sys
import threading
import traceback
from types import FrameType
from typing import Any

from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message
from headwater.worker import calls, logs
from headwater.worker.calls import Call
from headwater.worker.channel import Channel
from headwater.worker.farewell import Farewell
from headwater.worker.faults import describe, traceback_text
from headwater.worker.invocation import Invocation
from headwater.worker.leftovers import Leftovers
from headwater.worker.loglines import call_failed, log_line, send_log
from headwater.worker.loop import UserTask, Watchdog, new_user_loop
from headwater.worker.project.declaring import LANGUAGE, declare
from headwater.worker.project.files import Sources
from headwater.worker.project.importing import Importer
from headwater.worker.runner import Outlets, Runner
from headwater.worker.threads import Threads

DEFAULT_BLOCK_AFTER = 0.1
"""Seconds that an invocation may hold the loop, where the server says nothing."""

LEAST_BLOCK_AFTER = 0.005
"""The least of that: below it the watchdog itself would be what holds the loop."""

SWITCH_SECONDS = 0.001
"""How long one thread may compute while another waits. Python's own 5 ms would be added to every hop between
the loop and a thread that computes."""

YOUNG_OBJECTS = 10_000
"""New objects after which garbage is looked for among them, as in the server."""

DEFAULT_THRESHOLD = gc.get_threshold()
"""What Python itself has set, read before user code runs."""

END_SECONDS = 1.0
"""How long tasks that user code left running get to end when the process has drained."""


def main() -> None:
    """Run the worker; the socket is the one of the environment. Never returns."""
    fd = os.environ.pop(protocol.FD_VARIABLE, "")
    if not fd.isdecimal():
        sys.exit(f"{protocol.FD_VARIABLE} is not set: the server starts workers, people do not.")
    limit = int(os.environ.pop(protocol.LIMIT_VARIABLE, protocol.DEFAULT_LIMIT))
    block_after = max(
        LEAST_BLOCK_AFTER, float(os.environ.pop(protocol.BLOCK_AFTER_VARIABLE, DEFAULT_BLOCK_AFTER))
    )
    tolerant = os.environ.pop(protocol.STATE_DATA_VARIABLE, "") != "plain"
    sys.setswitchinterval(SWITCH_SECONDS)
    _settle_process()
    channel = Channel(socket.socket(fileno=int(fd)), limit)
    channel.send(protocol.hello(LANGUAGE, platform.python_version(), os.getpid()))
    Process(channel, block_after, tolerant=tolerant).run()
    os._exit(0)


def _settle_process() -> None:
    # Ctrl-C goes to the whole group of a terminal; the server decides what it means. A handler of our own
    # rather than SIG_IGN, because what user code starts would inherit that one.
    signal.signal(signal.SIGINT, _ignore)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _spare_collections() -> None:
    """Look for garbage less often, and never among what the project made while it loaded, which is there to
    stay: by default each hundredth look goes through all its modules. What user code set stays."""
    if gc.isenabled() and gc.get_threshold() == DEFAULT_THRESHOLD:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *DEFAULT_THRESHOLD[1:])


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    pass


class Process:
    """One worker: what its messages do, and its loop."""

    def __init__(self, channel: Channel, block_after: float, *, tolerant: bool) -> None:
        self._channel = channel
        self._loop = calls.user_loop = new_user_loop()
        calls.user_thread = threading.get_ident()
        self._watchdog = Watchdog(
            self._loop, block_after, self._say_blocked, channel.holds_main_thread, channel
        )
        self._loads: queue.SimpleQueue[Message] = queue.SimpleQueue()
        outlets = Outlets(channel.send, channel.send_soon, channel.reply)
        self._leftovers = Leftovers(self._loop)
        self._farewell = Farewell(self._leftovers, channel.send, self._stop, self._is_busy)
        self._runner = Runner(
            outlets, self._loop, Threads(), self._watchdog, self._farewell.begin, tolerant=tolerant
        )
        self._ending = False

    def run(self) -> None:
        """Load the project, then run user code until the server lets go."""
        logs.forward(self._channel.send)
        self._leftovers.watch_threads()
        self._loop.set_exception_handler(self._say_unhandled)
        self._channel.start(self._loop, self._take)
        self._watchdog.start()
        self._load(self._loads.get())
        asyncio.set_event_loop(self._loop)
        while not self._ending:
            try:
                self._loop.run_forever()
            except BaseException:  # a task of user code may raise SystemExit through the loop
                traceback.print_exc()
        self._end()

    def _take(self, message: Message) -> None:
        """One message of the server; on whichever thread reads, which must not block."""
        header = message.header
        match message.type:
            case "result":
                self._runner.calls.settle(message)
            case "invoke":
                self._runner.invoke(message)
            case "ping":
                self._loop.call_soon_threadsafe(self._channel.send, protocol.pong(header["n"]))
            case "withdraw":
                self._runner.withdraw(header["id"])
            case "cancel":
                self._runner.cancel(header["id"])
            case "streams":
                self._runner.know(header["names"])
            case "drain":
                self._farewell.linger = header.get("linger", 0.0)
                self._runner.drain()
            case "end":
                self._farewell.begin(0.0)
            case _:
                self._loads.put(message)

    def _load(self, message: Message) -> None:
        header = message.header
        sources = {source.path: source.content for source in protocol.sources_of(message)}
        os.chdir(header["root"])
        asyncio.set_event_loop(self._loop)
        files = Sources(header["root"], header["folders"], sources)
        self._leftovers.running = self._runner.running
        self._leftovers.relative = self._runner.lifespan.relative = files.relative
        importer = Importer(files)
        importer.install()
        declared = declare(importer, lambda path: self._channel.send(protocol.loading(path)))
        self._runner.adopt(declared)
        _spare_collections()
        self._channel.send(
            protocol.manifest(
                header["generation"], declared.steps, declared.streams, declared.problems, declared.auth
            )
        )

    def _say_blocked(self, invocation: Invocation, seconds: float) -> None:
        self._channel.send(protocol.blocked(invocation.id, invocation.step, seconds))

    def _say_unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio would print: errors of tasks that nobody awaited."""
        error = context.get("exception")
        task = context.get("future") or context.get("task")
        invocation = task.invocation if isinstance(task, UserTask) else None
        call = task.get_coro() if isinstance(task, UserTask) else None
        if isinstance(call, Call):
            send_log(self._channel.send, call_failed(invocation, call))
            return
        fields = {"traceback": traceback_text(error)} if isinstance(error, BaseException) else {}
        said = (
            f"A task that nobody awaited failed: {describe(error)}" if error else str(context.get("message"))
        )
        send_log(self._channel.send, log_line("error", said, fields, invocation))

    def _is_busy(self) -> bool:
        return self._runner.is_busy()

    def _stop(self) -> None:
        self._ending = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _end(self) -> None:
        """Leave as a Python program does, but without waiting for threads of user code."""
        tasks = asyncio.all_tasks(self._loop)
        # What invocations left behind goes first: it may use what the lifespan holds.
        self._cancel({task for task in tasks if isinstance(task, UserTask) and task.invocation is not None})
        self._loop.run_until_complete(self._runner.lifespan.leave())
        self._cancel(asyncio.all_tasks(self._loop))
        self._channel.flush(END_SECONDS)
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        sys.stdout.flush()
        sys.stderr.flush()

    def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks, timeout=END_SECONDS))
