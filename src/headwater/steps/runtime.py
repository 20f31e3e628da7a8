"""The steps of a server: the generation that serves, the ones that end, the reload between them.

Owns which generation is current. What a generation is and how one is made is `generation.py`'s; seeing that a
file changed is `watch.py`'s. This is what the layers above use.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from typing import Any

from headwater.clock import Clock, SystemClock
from headwater.config import Settings
from headwater.envfile import ENV_FILE
from headwater.errors import (
    AuthUnavailable,
    HeadwaterError,
    Limit,
    TooLarge,
    Unauthenticated,
    UnknownStep,
    WorkerLost,
)
from headwater.holdings import Holdings
from headwater.logline import Line, tell
from headwater.model import Origin
from headwater.observe import SILENT, Observer, tell_limit
from headwater.protocol.workers import messages as protocol
from headwater.steps.calls import OrderedCalls
from headwater.steps.consumers import Worked, queues_of
from headwater.steps.generation import Generation, NotLoaded, Workshop, make
from headwater.steps.project.declare import ApiRequest, ApiResponse, ApiStep, Problem, Project
from headwater.steps.project.sources import Sources, snapshot
from headwater.steps.project.triggers.access import ACCESS, AccessQuestion
from headwater.steps.project.triggers.api import API
from headwater.steps.project.triggers.authenticate import AUTHENTICATE, AuthQuestion
from headwater.steps.project.triggers.kind import Failure
from headwater.steps.project.watch import watch
from headwater.steps.services.service import Service
from headwater.steps.workers.crew import Parts
from headwater.steps.workers.intake import Intake
from headwater.steps.workers.process import Launch
from headwater.streams.catalog import Verb

log = logging.getLogger("headwater.steps")
project_log = logging.getLogger("headwater.project")
"""What a generation declares and what is wrong with it; a command that shows both itself leaves it out."""

MOST_ENDING = 4
"""Generations that may always end at the same time."""

MOST_LEFT = 16
"""Workers of further ones that may go on, for what invocations left running; above it the oldest generation
is ended at once."""

LOADS_AGAIN = (0.5, 2.0, 8.0, 30.0)
"""Seconds after which a load whose worker was killed is tried again, one after the other: that says nothing
about the files. A file that kills its worker each time is then left alone until it changes."""

OnProject = Callable[[Project], None]


class StepRuntime:
    """Runs the steps of one project. `start` it once, `close` it once; all calls are from one event loop."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self._settings = settings
        self._services: dict[str, Service] = {}
        self._workshop = _workshop(settings, self._services, clock or SystemClock(), observer)
        self._observer = observer
        self._current = Generation(0, Sources(), Project(0), {}, {})
        self._project = self._current.project
        self._routes: dict[str, ApiStep] = {}
        self._emits: dict[str, tuple[str, ...]] = {}
        self.queues: Mapping[str, Worked] = {}
        """The steps that do work, by the names of their queues."""
        self._listeners: list[OnProject] = []
        self._number = 0
        self._attempted: Sources | None = None
        self._looking = asyncio.Lock()
        self._loading: asyncio.Task[None] | None = None
        self._ending: dict[Generation, asyncio.Task[None]] = {}
        self._reloads: set[asyncio.Task[None]] = set()
        self._lost_loads = 0
        self._again: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def project(self) -> Project:
        """What the current generation declares, with the problems of the files as they are now."""
        return self._project

    @property
    def current(self) -> Generation:
        """The generation that serves."""
        return self._current

    @property
    def closed(self) -> bool:
        """Whether it serves nothing more."""
        return self._closed

    def offer(self, name: str, service: Service) -> None:
        """Let user code call one more service, from before the first invocation on. Each is offered once and
        whole: a second one of that name would take the place of the first without a word."""
        if name in self._services:
            raise ValueError(f"the service {name!r} is offered already")
        self._services[name] = service

    def tell_holdings(self, holdings: Holdings) -> None:
        """Tell of the calls of workers that are not answered yet."""
        intake = self._workshop.parts.intake
        holdings.add("calls of steps", Limit("storage.max_pending_bytes", intake.limit), lambda: intake.held)

    def emits_of(self, step: str) -> tuple[str, ...]:
        """The topics that the step of that name says it emits; none for a step that is gone."""
        return self._emits.get(step, ())

    def on_project(self, listener: OnProject) -> None:
        """Call `listener` with the project at each takeover, in the same turn of the loop, before any
        invocation of the new generation; and when only the problems have changed."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Load generation 1. Never raises for faults of the project."""
        await self.reload()

    async def watch(self) -> None:
        """Load the project anew whenever its files change, until cancelled."""
        await watch(self._settings.project.resolve(), self._changed)

    def run_api(self, step: ApiStep, request: ApiRequest) -> Coroutine[Any, Any, ApiResponse]:
        """Run an API step in the current generation; for what else it raises see `Executor.run`.

        :raises UnknownStep: a reload has taken the step away.
        """
        found = self._routes.get(step.file)
        executor = self._current.executors.get(found.language) if found is not None else None
        if executor is None or found is None:
            raise UnknownStep(f'The step "{step.name}" is no longer part of the project.', file=step.file)
        return executor.run(API, found, request, Origin(found.name, request.trace, 0, request.auth))

    async def access(
        self,
        stream: str,
        group: str,
        item: str | None,
        auth: bytes | None,
        verb: Verb = "read",
        change: bytes | None = None,
    ) -> bool:
        """Whether something is allowed; `item` None asks for the whole group, `auth` is who asks, `change`
        the JSON text of what would be written or sent.

        The project's function is asked where the stream has one. Anything wrong is a no: an unknown stream, a
        function that raises, hangs, answers other than exactly true, or loses its worker.
        """
        current = self._current
        declaration = current.project.stream(stream)
        if declaration is None:
            return False
        right = declaration.rights.of(verb)
        if right != "rule":
            return right == "open"
        executor = current.executors.get(declaration.language)
        if declaration.rights.cancel == "readers" and verb == "cancel":
            verb = "read"
        asked = AccessQuestion(group, item, auth, change)
        return executor is not None and await executor.run(ACCESS[verb], declaration, asked)

    async def authenticate(self, asked: AuthQuestion) -> bytes | None:
        """Who asks: the context that the project gives, as the JSON text of an object; None for nobody.

        :raises Unauthenticated: the project's function raised, or gave what is no context.
        :raises AuthUnavailable: it cannot be used, took too long, or found no worker.
        """
        who = self._current.project.authenticator
        if who is None:
            return None
        executor = self._current.executors.get(who.language)
        if who.broken or executor is None:
            raise AuthUnavailable("Nobody is let in: the project cannot say who asks.", hint=who.broken)
        try:
            return await executor.run(AUTHENTICATE, who, asked)
        except HeadwaterError as error:
            if isinstance(error.__cause__, Failure):  # The log has it already.
                raise Unauthenticated("The project refuses this request.") from None
            tell_limit(self._observer, error)
            line = Line(who.name, fields={"file": who.file, "code": error.code}, flood="authenticate")
            tell(log, logging.ERROR, line, "A request is refused: %s %s", error.message, error.hint)
            if isinstance(error, TooLarge):
                raise Unauthenticated("The project refuses this request.") from None
            raise AuthUnavailable("Who asks cannot be told now.", hint="Try again.") from None

    async def reload(self) -> None:
        """Load the project as it is on the disk now; returns once that has been served or has failed.

        While a load is under way, a change makes it start over: the latest state wins.
        """
        while not self._closed:
            loading = await self._look()
            await asyncio.wait({loading})
            if not loading.cancelled():
                return

    async def _look(self) -> asyncio.Task[None]:
        """The load of the sources as they are now: the one under way or done, or else a new one."""
        async with self._looking:
            sources = await asyncio.to_thread(snapshot, self._settings.project, self._settings.steps)
            if self._loading is None or sources != self._attempted:
                await self._stop_loading()
                self._attempted = sources
                self._loading = asyncio.create_task(self._load(sources))
            return self._loading

    @property
    def at_work(self) -> list[str]:
        """The files whose code runs, in any generation, each once."""
        pools = (pool for generation in (self._current, *self._ending) for pool in generation.pools.values())
        return sorted({file for pool in pools for file in pool.at_work})

    async def hurry(self) -> None:
        """End every worker now; who waits for what runs there is told. `close` waits for nothing then."""
        self._closed = True
        pools = [pool for generation in (self._current, *self._ending) for pool in generation.pools.values()]
        await asyncio.gather(*(pool.kill("the server was told to end at once") for pool in pools))

    async def close(self, within: float | None = None) -> None:
        """Let running invocations end, within so many seconds or else the shutdown timeout, then end every
        worker."""
        self._closed = True
        if self._again is not None:
            self._again.cancel()
        for reload in self._reloads:
            reload.cancel()
        async with self._looking:
            await self._stop_loading()
        self._end(self._current, None, within)
        if self._ending:
            await asyncio.wait(self._ending.values())

    # --- loading ---

    async def _load(self, sources: Sources) -> None:
        before = self._current if self._current.number else None
        number = self._number + 1
        if self._again is not None:
            self._again.cancel()
        try:
            generation = await make(self._workshop, number, sources, before)
        except NotLoaded as fault:
            self._stay(fault.problems)
            self._load_lost(fault.problems)
            return
        except Exception:
            log.exception("The project could not be loaded")
            self._stay([Problem("error", "INTERNAL", "The project could not be loaded; see the log")])
            return
        self._number = number
        self._take_over(generation)
        self._load_lost(generation.project.problems)

    def _load_lost(self, problems: Iterable[Problem]) -> None:
        """Try a load again whose worker was killed."""
        if not any(problem.code == WorkerLost.code for problem in problems):
            self._lost_loads = 0
        elif self._lost_loads < len(LOADS_AGAIN):
            wait = LOADS_AGAIN[self._lost_loads]
            self._lost_loads += 1
            self._again = asyncio.get_running_loop().call_later(wait, self._load_again)

    def _load_again(self) -> None:
        self._attempted = None
        self._changed()

    async def _stop_loading(self) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
            await asyncio.wait({self._loading})

    def _take_over(self, generation: Generation) -> None:
        ended, self._current = self._current, generation
        if ended.number and ended.sources.env.settings != generation.sources.env.settings:
            log.warning("Settings in %s have changed; restart the server to use them", ENV_FILE)
        self._routes = {step.file: step for step in generation.project.routes}
        self._emits = {step.name: step.emits for step in generation.project.steps}
        self.queues = queues_of(generation.project)
        self._show(generation.project)
        self._end(ended, generation)
        project = generation.project
        self._observer.reloaded(generation.number, len(project.steps), len(project.streams))
        project_log.info(
            "Generation %d serves: %d steps, %d streams, %d problems",
            generation.number, len(project.steps), len(project.streams), len(project.problems),
        )  # fmt: skip

    def _stay(self, problems: Iterable[Problem]) -> None:
        """The running generation goes on and shows what is wrong with the files."""
        self._show(replace(self._current.project, problems=tuple(problems)))
        if self._current.number:
            log.error("The project did not load; generation %d goes on serving", self._current.number)
        else:
            log.error("The project did not load")

    def _show(self, project: Project) -> None:
        known = set(self._project.problems)
        self._project = project
        for problem in project.problems:
            if problem not in known:
                _log_problem(problem)
                self._observer.problem(problem.code, problem.message, problem.file)
                if problem.limit is not None:
                    self._observer.limited(*problem.limit)
        for listener in self._listeners:
            try:
                listener(project)
            except Exception:
                log.exception("A listener failed at generation %d", project.generation)

    # --- ending ---

    def _end(self, generation: Generation, successor: Generation | None, within: float | None = None) -> None:
        """Let a generation's invocations end; what has not started goes on in the successor."""
        if not generation.pools:
            return
        workers = self._settings.workers
        if successor is not None:
            ending = _drain(generation, successor, workers.drain_timeout, workers.linger_timeout)
        else:
            most = self._settings.server.shutdown_timeout
            ending = _drain(generation, None, most if within is None else within)
        task = asyncio.create_task(ending)
        self._ending[generation] = task
        task.add_done_callback(lambda _: self._ending.pop(generation, None))
        going_on = [one for one, ending in self._ending.items() if not ending.cancelling()]
        while len(going_on) > MOST_ENDING and sum(map(_workers_of, going_on)) > MOST_LEFT:
            self._ending[going_on.pop(0)].cancel()

    def _changed(self) -> None:
        """Something changed on the disk."""
        task = asyncio.create_task(self.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)


def _workers_of(generation: Generation) -> int:
    return sum(len(pool.workers) + len(pool.apart) for pool in generation.pools.values())


async def _drain(
    generation: Generation, successor: Generation | None, seconds: float, linger: float | None = None
) -> None:
    """Drain all pools of a generation; each hands on to the pool of its language in the successor."""
    async with asyncio.TaskGroup() as group:
        for language, pool in generation.pools.items():
            heir = successor.pools.get(language) if successor is not None else None
            group.create_task(pool.drain(seconds, heir.take if heir is not None else None, linger=linger))


def _workshop(
    settings: Settings, services: Mapping[str, Service], clock: Clock, observer: Observer
) -> Workshop:
    intake = Intake(settings.storage.max_pending_bytes // 2)

    def calls() -> OrderedCalls:
        return OrderedCalls(services, intake, observer)

    environment = {
        protocol.BLOCK_AFTER_VARIABLE: str(settings.workers.block_after),
        protocol.STATE_DATA_VARIABLE: settings.steps.state_data,
    }
    launch = Launch(settings.project.resolve(), settings.workers.max_frame_bytes, environment)
    return Workshop(settings, Parts(launch, settings.workers, intake, calls, clock, observer))


def _log_problem(problem: Problem) -> None:
    place = f"{problem.file}:{problem.line}" if problem.line else problem.file
    text = f"{place}: {problem.message}" if place else problem.message
    level = logging.ERROR if problem.level == "error" else logging.WARNING
    fields = {"code": problem.code, "file": problem.file, "line": problem.line, "hint": problem.hint}
    line = Line(fields=fields, traceback=problem.traceback)
    tell(project_log, level, line, "%s%s", text, f" ({problem.hint})" if problem.hint else "")
