"""One load of the project, and how it is made: sources into workers, their manifest into a project.

Owns what happens when a file that worked before fails now: it keeps its last good bytes, with those of the
changed files on its import path, and shows its error. When a generation takes over is `runtime.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headwater.config import Settings
from headwater.errors import HeadwaterError
from headwater.protocol import worker as protocol
from headwater.protocol.worker import Message, Source
from headwater.steps.crew import Parts
from headwater.steps.declare import Problem, Project
from headwater.steps.discover import project_of
from headwater.steps.execute import Executor
from headwater.steps.pool import Pool
from headwater.steps.sources import Sources

MOST_ROUNDS = 4
"""Loads in a row that one change may cost while files are held back; then the running generation stays."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A load of the project that can serve. `sources` are the bytes that its workers hold."""

    number: int
    sources: Sources
    project: Project
    pool: Pool | None
    executor: Executor | None


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
    fresh = await _load(workshop, number, sources)
    held: frozenset[str] = frozenset()
    latest = fresh
    for _ in range(MOST_ROUNDS):
        more = _to_hold_back(latest, sources, before, held)
        if not more:
            return _opened(latest, _told(fresh, latest, held))
        await _discard(latest)
        held |= more
        assert before is not None
        latest = await _load(workshop, number, sources.with_files_of(before.sources, held))
    await _discard(latest)
    raise NotLoaded(fresh.project.problems)


async def _load(workshop: Workshop, number: int, sources: Sources) -> Generation:
    """One load of exactly these sources, in a first worker."""
    if not sources.of_language("python"):
        return Generation(number, sources, project_of(number, {}, sources), None, None)
    pool = Pool(workshop.parts, _load_message(workshop.settings, number, sources))
    try:
        manifest: Mapping[str, Any] = await pool.start()
    except HeadwaterError as fault:
        raise NotLoaded([*sources.problems, _as_problem(fault)]) from fault
    executor = Executor(pool, workshop.settings, workshop.parts.calls)
    return Generation(number, sources, project_of(number, manifest, sources), pool, executor)


def _load_message(settings: Settings, number: int, sources: Sources) -> Message:
    files = [Source(path, content) for path, content in sources.python.items()]
    return protocol.load(number, str(settings.project.resolve()), settings.steps.folders, files)


async def _discard(generation: Generation) -> None:
    if generation.pool is not None:
        await generation.pool.kill("its load was given up")


def _opened(generation: Generation, problems: tuple[Problem, ...]) -> Generation:
    if generation.pool is not None:
        generation.pool.open([stream.name for stream in generation.project.streams])
    return replace(generation, project=replace(generation.project, problems=problems))


def _as_problem(fault: HeadwaterError) -> Problem:
    output = str(fault.details.get("output", ""))
    return Problem("error", fault.code, fault.message, hint=fault.hint, traceback=output)


# --- keeping what worked ---


def _declared(project: Project) -> set[str]:
    return {one.file for one in (*project.steps, *project.streams)}


def _to_hold_back(
    latest: Generation, sources: Sources, before: Generation | None, held: frozenset[str]
) -> frozenset[str]:
    """The files to put back as they were, so that what worked before works again; empty when all does.

    First the changed files that the problem itself names; if that was not enough, every changed file that
    declares nothing (a helper that is gone leaves no trace in the import that misses it).
    """
    if before is None:
        return frozenset()
    broken = (_declared(before.project) & set(sources.declaring)) - _declared(latest.project)
    if not broken:
        return frozenset()
    changed = sources.changed_since(before.sources) & before.sources.python.keys()
    named = {path for one in latest.project.problems if one.file in broken or broken & {*one.involved}
             for path in (one.file, *one.involved)}  # fmt: skip
    more = (named | broken) & changed - held
    clashing = {one.file for one in latest.project.problems if one.code.startswith("DUPLICATE_")}
    if more or broken <= clashing:
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
