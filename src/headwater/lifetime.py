"""The life of one server: from its first bytes to its last, and what runs in the background meanwhile.

Owns the order of starting and stopping: the store opens first and closes last; nothing listens before the
project is loaded; when the server stops, sockets end, running steps end, and what was taken is committed
before the store closes. What it is made of is `app.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial

from headwater.allocator import Allocator
from headwater.app import Running
from headwater.clock import DoubtingClock, SystemClock
from headwater.config import Settings
from headwater.control.open import control_place
from headwater.control.place import ControlPlace
from headwater.control.server import ControlServer
from headwater.errors import FileUnloadable, HeadwaterError
from headwater.logline import Line, tell
from headwater.server.inspect.admission import check_admin
from headwater.server.listen.tls import read_tls
from headwater.server.live.keepalive import keep
from headwater.steps.project.declare import Project
from headwater.storage.base import Store
from headwater.storage.open import open_store
from headwater.streams.commits import CommitQueue
from headwater.work.work import keep_looking

log = logging.getLogger("headwater.app")

SWEEP_SECONDS = 30.0
"""How often tombstones past their age are looked for; that is hours, or a minute for presences."""

STAMP_SECONDS = 0.5
"""How often; after a crash the next process begins a second above what was kept."""

MOST_NAMED = 5
"""Files that are named when the server ends and waits for them."""

OnProject = Callable[[Project], None]


@contextlib.asynccontextmanager
async def running(settings: Settings, *, on_project: OnProject | None = None) -> AsyncGenerator[Running]:
    """A server, from its first bytes to its last. `on_project` hears of each generation after the first.

    :raises HeadwaterError: others could reach an admin surface without a token, the certificate cannot be
        used, the store cannot be opened, the port cannot be bound.
    """
    check_admin(settings)
    tls = read_tls(settings)
    store = await open_store(settings)
    try:
        with control_place(settings) as place:
            server = Running(settings, store, tls)
            async with _serving(server), _controlled(server, place):
                if on_project is not None:
                    server.runtime.on_project(on_project)
                yield server
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def _serving(server: Running) -> AsyncGenerator[None]:
    tasks = server.tasks
    try:
        await server.runtime.start()
        _see_that_it_loaded(server)
        await server.realms.durable.expiry.settle()
        await server.reception.revocations.read()
        await server.work.start()
        await server.server.start()
        age = server.settings.storage.tombstone_age
        left = min(age, server.settings.streams.presence_age)
        if server.settings.dev:
            tasks.start("watching", server.runtime.watch)
        if server.renewal is not None:
            tasks.start("certificate", server.renewal.run)
        tasks.start("expiry", server.realms.durable.expiry.run)
        tasks.start("expiry of fleeting streams", server.realms.fleeting.expiry.run)
        tasks.start("reactions", server.work.reactions.run)
        for name, look in server.work.looks.items():
            tasks.start(name, partial(keep_looking, look))
        tasks.start(
            "keepalive", partial(keep, server.opening.sockets, server.settings.socket, server.observers)
        )
        tasks.start("ends of tokens", server.lapses.run)
        if server.reception.keys is not None:
            tasks.start("keys of tokens", server.reception.keys.run)
        tasks.start("sweep", partial(_sweep, server.store, age))
        tasks.start("sweep of fleeting streams", partial(_sweep, server.realms.fleeting.store, left))
        allocator = Allocator()
        allocator.settle()
        tasks.start("trimming", allocator.keep_trimming)
        tasks.start("stamps", partial(_keep_stamps, server.realms.durable.queue))
        interval = server.settings.streams.compare_interval
        tasks.start("comparing", partial(server.realms.durable.hub.keep_comparing, interval))
        tasks.start(
            "comparing of fleeting streams", partial(server.realms.fleeting.hub.keep_comparing, interval)
        )
        yield
    finally:
        await _end(server)


async def _end(server: Running) -> None:
    """End everything, in the order in which parts stand on one another, whatever becomes of one of them.
    Requests, and whatever else runs, end within the same time."""
    server.ending = True
    until = time.monotonic() + server.settings.server.shutdown_timeout

    async def end_what_runs() -> None:
        ended = server.work.stop()
        await server.runtime.close(within=max(until - time.monotonic(), 0.0))
        await ended

    async with contextlib.AsyncExitStack() as last_first:
        last_first.push_async_callback(server.realms.close)
        last_first.push_async_callback(server.aside.close)
        last_first.push_async_callback(end_what_runs)
        last_first.push_async_callback(server.server.stop)
        last_first.callback(server.events.close)
        last_first.callback(server.rejudging.close)
        last_first.push_async_callback(server.tasks.close)
        last_first.callback(server.work.rest)


def _see_that_it_loaded(server: Running) -> None:
    """A deployed project either loads or does not start: whoever watches it learns by its end. In `dev` the
    next change may mend it.

    :raises FileUnloadable: a file ended or held up the worker that loads it.
    """
    if server.settings.dev:
        return
    for problem in server.project.problems:
        if problem.code == FileUnloadable.code:
            raise FileUnloadable(problem.message, hint=problem.hint, file=problem.file)


@contextlib.asynccontextmanager
async def _controlled(server: Running, place: ControlPlace | None) -> AsyncGenerator[None]:
    """The server answers on its control socket. A socket that cannot be made ends no server."""
    if place is None:
        yield
        return
    control = ControlServer(place, server.methods, server.question_bytes)
    try:
        await control.start()
    except OSError as error:
        log.warning("`headwater queue`, `emit`, `cancel` and `limits` cannot reach this server: %s", error)
    try:
        yield
    finally:
        await control.stop()


async def _sweep(store: Store, tombstone_age: float) -> None:
    """Age out tombstones, a little at a time, until cancelled."""
    clock = DoubtingClock(SystemClock())
    gone = 0
    while True:
        await asyncio.sleep(0 if gone else SWEEP_SECONDS)
        try:
            gone = await store.sweep(now=clock.now(), tombstone_age=tombstone_age)
        except HeadwaterError as error:
            gone = 0
            log.warning("Ageing out deletes failed and is tried again later: %s", error.message)


async def _keep_stamps(queue: CommitQueue) -> None:
    """Have stamps kept that no write carried, until cancelled."""
    while True:
        await asyncio.sleep(STAMP_SECONDS)
        queue.keep_stamp()


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[Running], None] | None = None,
    on_project: OnProject | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. A second signal waits for nothing.

    :raises HeadwaterError: the store cannot be opened or the port cannot be bound.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with running(settings, on_project=on_project) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, partial(_stop, stop, server))
        if on_ready is not None:
            on_ready(server)
        await stop.wait()


def _stop(stop: asyncio.Event, server: Running) -> None:
    """The first signal ends the server in good order, and says what is waited for; another one at once."""
    if stop.is_set():
        hurry = asyncio.gather(server.server.stop(now=True), server.runtime.hurry(), return_exceptions=True)
        hurry.add_done_callback(lambda done: done.exception())
    elif busy := server.runtime.at_work:
        text = "Stopping once %s has ended, in %g s at the latest; a second signal (Ctrl-C) ends it at once"
        line = Line(fields={"files": busy})
        named = ", ".join(busy[:MOST_NAMED]) + (" and more" if len(busy) > MOST_NAMED else "")
        tell(log, logging.WARNING, line, text, named, server.settings.server.shutdown_timeout)
    stop.set()


async def inspect_project(settings: Settings) -> Project:
    """Load the project in one worker of each language and answer what it declares, without a store and
    without listening."""
    memory = replace(
        settings,
        dev=False,
        storage=replace(settings.storage, url="memory:"),
        workers=replace(settings.workers, size=1, node_size=1),
    )
    store = await open_store(memory)
    server = Running(memory, store)
    try:
        await server.runtime.start()
        return server.project
    finally:
        await server.runtime.close()
        await store.close()
