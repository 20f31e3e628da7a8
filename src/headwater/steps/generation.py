"""One load of the project, and how it is made: sources into workers, their manifest into a project.

Owns what happens when a file that worked before fails now: it keeps its last good bytes, with those of the
changed files on its import path, and shows its error. When a generation takes over is `runtime.py`'s.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headwater.config import Settings
from headwater.errors import FileUnloadable, HeadwaterError, TimedOut, WorkerLost
from headwater.observe import tell_limit
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Message, Source
from headwater.steps.execute import Executor
from headwater.steps.project.declare import Problem, Project
from headwater.steps.project.discover import merged, project_of
from headwater.steps.project.sources import Sources, is_lifespan
from headwater.steps.workers.crew import Parts
from headwater.steps.workers.languages import parts_for
from headwater.steps.workers.pool import Pool

MOST_LEFT_OUT = 5
"""Files that one load in `dev` may leave out because they end or hold up their worker."""

KILLED = "signal SIGKILL"
"""How a worker has ended that was killed; no code can do that by accident."""

MOST_ROUNDS = 4
"""Loads in a row that one change may cost while files are held back; then the running generation stays."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A load of the project that can serve. `sources` are the bytes that its workers hold; there is one pool,
    and one executor on it, for each language that the project uses."""

    number: int
    sources: Sources
    project: Project
    pools: Mapping[str, Pool]
    executors: Mapping[str, Executor]


@dataclass(frozen=True, slots=True)
class Workshop:
    """What generations are made with: the settings and what pools stand on."""

    settings: Settings
    parts: Parts


class NotLoaded(Exception):
    """No generation came of it; `problems` say why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        super().__init__("the project did not load")
        self.problems = tuple(problems)


async def make(workshop: Workshop, number: int, sources: Sources, before: Generation | None) -> Generation:
    """Load the project's sources as a generation; its workers are warm when this returns.

    Cancelled, it leaves no process behind.

    :raises NotLoaded: no worker could load it, or what worked before cannot be kept working.
    """
    fresh = await _load(workshop, number, sources, before)
    held: frozenset[str] = frozenset()
    latest = fresh
    for _ in range(MOST_ROUNDS):
        more = _to_hold_back(latest, sources, before, held)
        if not more:
            return _opened(latest, _told(fresh, latest, held))
        await _discard(latest)
        held |= more
        assert before is not None
        latest = await _load(workshop, number, sources.with_files_of(before.sources, held), before)
    await _discard(latest)
    raise NotLoaded(fresh.project.problems)


async def _load(
    workshop: Workshop, number: int, sources: Sources, before: Generation | None = None
) -> Generation:
    """One load of exactly these sources, in a first worker of each language."""
    loads = {language: _Load(workshop, number, sources, language) for language in sources.languages}
    try:
        # Not a group: the other loads go on when one fails, so that none is left half started.
        await asyncio.gather(*(load.run() for load in loads.values()))
        _see_that_some_loaded(loads, sources, before)
    except BaseException:
        await asyncio.gather(*(load.give_up() for load in loads.values()))
        raise
    pools = {language: load.pool for language, load in loads.items() if load.pool is not None}
    executors = {
        language: Executor(pool, workshop.settings, workshop.parts.calls, workshop.parts.observer)
        for language, pool in pools.items()
    }
    manifest = merged([load.manifest for load in loads.values()])
    claims = workshop.settings.auth.claims
    project = project_of(number, manifest, sources, claims=claims)
    return Generation(number, sources, project, pools, executors)


def _see_that_some_loaded(loads: Mapping[str, _Load], sources: Sources, before: Generation | None) -> None:
    """A language that cannot be run leaves its files out, unless it ran before or is the only one.

    :raises NotLoaded: it is; the running generation had better stay.
    """
    failed = {language: load.fault for language, load in loads.items() if load.fault is not None}
    needed = set(before.pools) if before is not None else set[str]()
    if failed and (needed & failed.keys() or len(failed) == len(loads)):
        raise NotLoaded([*sources.problems, *map(_as_problem, failed.values())])


class _Load:
    """The load of one language's files. `run` it, then look at `pool` and `manifest`, or at `fault`."""

    def __init__(self, workshop: Workshop, number: int, sources: Sources, language: str) -> None:
        self.pool: Pool | None = None
        self.manifest: Mapping[str, Any] = {}
        self.fault: HeadwaterError | None = None
        self._workshop = workshop
        self._number = number
        self._sources = sources
        self._language = language
        self._left_out: dict[str, HeadwaterError] = {}

    async def run(self) -> None:
        """Start the first worker; raises nothing but its own cancellation.

        - It loads: that is all.
        - A file ends or holds up whoever loads it: in `dev` it is left out and the others are loaded, so that
          the page which a developer looks at goes on.
        - The language cannot be run, or files go on to be at fault: all of its files have that problem.
        """
        while (fault := await self._try()) is not None:
            tell_limit(self._workshop.parts.observer, fault)
            may_go_on = self._workshop.settings.dev and len(self._left_out) < MOST_LEFT_OUT
            if not may_go_on or not isinstance(fault, FileUnloadable):
                self.fault = fault
                files = self._sources.declaring_in(self._language)
                self.manifest = {"problems": [_as_entry(fault, file) for file in files]}
                return
            self._left_out[fault.details["file"]] = fault
        left_out = [_as_entry(fault, file) for file, fault in self._left_out.items()]
        self.manifest = {**self.manifest, "problems": [*self.manifest["problems"], *left_out]}

    async def _try(self) -> HeadwaterError | None:
        """One load; another if its worker is killed meanwhile, for without it events would pass these steps
        by. Answers what went wrong: of a file that is to blame, or else of the load."""
        try:
            try:
                await self._start()
            except WorkerLost as lost:
                await self._start_after(lost)
        except TimedOut as fault:
            return (
                _blaming(fault, "Something at its top waits or computes")
                if "file" in fault.details
                else fault
            )
        except HeadwaterError as fault:
            return fault
        return None

    async def _start_after(self, lost: WorkerLost) -> None:
        """Start once more. Two workers that end at the same file are no coincidence, unless somebody else has
        killed them: the system does where memory is short."""
        try:
            await self._start()
        except WorkerLost as again:
            file = again.details.get("file")
            killed = str(again.details.get("how", "")).startswith(KILLED)
            if file is None or file != lost.details.get("file") or killed:
                raise
            raise _blaming(again, "Something at its top ends the process, or crashes it") from again

    async def _start(self) -> None:
        parts = await asyncio.to_thread(parts_for, self._language, self._parts())
        pool = Pool(parts, self._message())
        self.manifest = await pool.start()
        self.pool = pool

    async def give_up(self) -> None:
        """End what was started."""
        if self.pool is not None:
            await self.pool.kill("its load was given up")

    def _parts(self) -> Parts:
        """What pools stand on, with the `.env` of these sources in the environment of the workers."""
        launch = self._workshop.parts.launch
        environment = {**self._sources.env.beside(os.environ), **launch.environment}
        return replace(self._workshop.parts, launch=replace(launch, environment=environment))

    def _message(self) -> Message:
        settings = self._workshop.settings
        given = self._sources.files_for(self._language)
        files = [Source(path, content) for path, content in given.items() if path not in self._left_out]
        root, folders = str(settings.project.resolve()), settings.steps.folders
        return protocol.load(self._number, root, folders, files, self._sources.stream_auth)


async def _discard(generation: Generation) -> None:
    await asyncio.gather(*(pool.kill("its load was given up") for pool in generation.pools.values()))


def _opened(generation: Generation, problems: tuple[Problem, ...]) -> Generation:
    for pool in generation.pools.values():
        pool.open([stream.name for stream in generation.project.streams])
    return replace(generation, project=replace(generation.project, problems=problems))


def _blaming(fault: HeadwaterError, what: str) -> FileUnloadable:
    """What a file did to its worker, as a fault of that file."""
    more = {name: fault.details[name] for name in ("file", "output") if name in fault.details}
    error = FileUnloadable(fault.message, hint=f"{what}; move it into the handler.", **more)
    error.limit = fault.limit
    return error


def _as_problem(fault: HeadwaterError) -> Problem:
    output = str(fault.details.get("output", ""))
    file = str(fault.details.get("file", ""))
    return Problem("error", fault.code, fault.message, file=file, hint=fault.hint, traceback=output)


def _as_entry(fault: HeadwaterError, file: str) -> dict[str, Any]:
    """What a manifest would report of a file that no worker could load."""
    told = {"file": file, "code": fault.code, "message": fault.message, "hint": fault.hint}
    return {**told, "traceback": str(fault.details.get("output", "")), "involved": [file]}


# --- keeping what worked ---


def _declared(project: Project) -> set[str]:
    twins = {twin for stream in project.streams for twin in stream.twins}
    if project.authenticator is not None and not project.authenticator.broken:
        twins.add(project.authenticator.file)
    return twins | {one.file for one in (*project.steps, *project.streams)}


def _broken_lifespans(project: Project) -> set[str]:
    return {path for problem in project.problems for path in problem.involved if is_lifespan(path)}


def _to_hold_back(
    latest: Generation, sources: Sources, before: Generation | None, held: frozenset[str]
) -> frozenset[str]:
    """The files to put back as they were, so that what worked before works again; empty when all does.

    - A first load, or one in which all that was declared before still is: none.
    - What broke names changed files (itself, or those on its import path): these.
    - It names none that are not held back already, and is broken by nothing but a name that two files claim,
      or a lifespan of its own: none, the problem is shown.
    - Else a helper that is gone leaves no trace in the import that misses it: every changed file that
      declares nothing.
    """
    if before is None:
        return frozenset()
    broken = (_declared(before.project) & set(sources.declaring)) - _declared(latest.project)
    lifespans = _broken_lifespans(latest.project) & sources.files.keys() & before.sources.files.keys()
    broken |= lifespans
    if not broken:
        return frozenset()
    changed = sources.changed_since(before.sources) & before.sources.files.keys()
    named = {path for one in latest.project.problems if one.file in broken or broken & {*one.involved}
             for path in (one.file, *one.involved)}  # fmt: skip
    more = (named | broken) & changed - held
    clashing = {one.file for one in latest.project.problems if one.code.startswith("DUPLICATE_")}
    if more or broken <= clashing | lifespans:
        return frozenset(more)
    return frozenset(path for path in changed - held if path not in sources.declaring)


def _told(fresh: Generation, latest: Generation, held: frozenset[str]) -> tuple[Problem, ...]:
    """The problems of the files as they are on the disk, and which files run as they were before."""
    if not held:
        return latest.project.problems
    problems = dict.fromkeys((*fresh.project.problems, *latest.project.problems))
    at_fault = {path for one in fresh.project.problems if one.level == "error" for path in (one.file,)}
    kept = tuple(replace(one, hint=_with(one.hint)) if one.file in held else one for one in problems)
    notes = [_held_back(path) for path in sorted(held - at_fault)]
    return (*kept, *notes)


def _with(hint: str) -> str:
    note = "Until it is mended, the last version that worked is served."
    return f"{hint} {note}" if hint else note


def _held_back(path: str) -> Problem:
    return Problem(
        "warning",
        "HELD_BACK",
        "The last version of this file stays in use, because a file that needs it fails with the new one",
        file=path,
    )
