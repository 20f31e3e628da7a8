"""What a project declares, shown to people: tables of routes, streams, steps and problems, and what a reload
changed. Owns the words and their order; knows no server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from rich.text import Text

from headwater.cli.terminal import out, say, table, visible
from headwater.steps.project.declare import (
    ApiStep,
    Authenticator,
    CronStep,
    EventStep,
    Problem,
    Project,
    Step,
    StreamDeclaration,
)
from headwater.steps.project.described import kind_of


def routes_of(project: Project) -> list[ApiStep]:
    """The steps with a route, by path and method."""
    found = [step for step in project.steps if isinstance(step, ApiStep)]
    return sorted(found, key=lambda step: (step.path, step.method))


def show_project(project: Project) -> None:
    """Print everything that the project declares, and what is wrong with it."""
    table("Routes", ("method", "path", "step", "file"), map(_route_row, routes_of(project)))
    table("Streams", ("name", "access", "file"), map(_stream_row, project.streams))
    asked = [project.authenticator] if project.authenticator is not None else []
    table("Who asks", ("said by", "file"), map(_authenticator_row, asked))
    others = [step for step in project.steps if not isinstance(step, ApiStep)]
    table("Other steps", ("type", "name", "runs on", "file"), map(_step_row, others))
    if not project.steps and not project.streams:
        say("No steps and no streams found.", "yellow")
    show_problems(project.problems)


def _route_row(step: ApiStep) -> Sequence[str]:
    return step.method, step.path, step.name, step.file


def _stream_row(stream: StreamDeclaration) -> Sequence[str]:
    return stream.name, "open" if stream.rights.read == "open" else "restricted", stream.file


def _authenticator_row(who: Authenticator) -> Sequence[str]:
    return "nobody: all are refused" if who.broken else who.name, who.file


def _step_row(step: Step) -> Sequence[str]:
    return kind_of(step), step.name, _runs_on(step), step.file


def _runs_on(step: Step) -> str:
    match step:
        case EventStep():
            return ", ".join(step.subscribes)
        case CronStep():
            return step.cron
        case _:
            return ""


def show_problems(problems: Sequence[Problem]) -> None:
    """Print each problem: where, what, what to do. Errors come first."""
    if not problems:
        return
    say(f"Problems ({len(problems)})", "bold")
    for problem in sorted(
        problems, key=lambda problem: (problem.level != "error", problem.file, problem.line)
    ):
        colour = "red" if problem.level == "error" else "yellow"
        head = (
            (f"{problem.level:<8}", colour),
            (f"{problem.code} ", "bold"),
            (visible(place(problem)), "cyan"),
        )
        out().print(Text.assemble(*head))
        for line in problem.message.splitlines():
            say(f"    {line}")
        for line in problem.traceback.splitlines():
            say(f"    {line}", "dim")
        if problem.hint:
            say(f"    {problem.hint}", "dim")
    say()


def place(problem: Problem) -> str:
    """Where a problem is, as "file:line", as far as it is known."""
    return f"{problem.file}:{problem.line}" if problem.file and problem.line else problem.file


def show_reload(before: Project, after: Project) -> None:
    """Print what a reload changed: declarations that came, went or changed, and problems new and gone."""
    lines = list(_changes(before, after))
    say(f"reloaded ({len(lines) or 'no'} change{'' if len(lines) == 1 else 's'} in declarations)", "bold")
    for line in lines:
        say(f"  {line}")
    if before.authenticator != after.authenticator:
        say("  who asks may be told otherwise: everyone is asked again")
    fixed = {place(problem) for problem in before.problems} - {place(problem) for problem in after.problems}
    for where in sorted(fixed):
        say(f"  fixed {where}", "green")
    known = set(before.problems)
    show_problems([problem for problem in after.problems if problem not in known])


def _changes(before: Project, after: Project) -> Iterator[str]:
    old, new = dict(_labelled(before)), dict(_labelled(after))
    yield from (f"+ {label}" for label in new if label not in old)
    yield from (f"- {label}" for label in old if label not in new)
    yield from (f"~ {label}" for label in new if label in old and _unlike(old[label], new[label]))


def _labelled(project: Project) -> Iterator[tuple[str, Step | StreamDeclaration]]:
    for step in project.steps:
        if isinstance(step, ApiStep):
            yield f"{step.method} {step.path} ({step.name})", step
        else:
            yield f"{kind_of(step)} {step.name}", step
    for stream in project.streams:
        yield f"stream {stream.name}", stream


def _unlike(one: Step | StreamDeclaration, other: Step | StreamDeclaration) -> bool:
    """Whether two declarations differ in more than the line they stand on."""
    return _bare(one) != _bare(other)


def _bare(one: Step | StreamDeclaration) -> Step | StreamDeclaration:
    """A declaration without what says where it stands, and which bytes it was read from."""
    if isinstance(one, StreamDeclaration):
        return dataclasses.replace(one, line=0, stamp="")
    return dataclasses.replace(one, line=0)


def counts(project: Project) -> dict[str, int]:
    """How much there is of each."""
    routes, streams = len(routes_of(project)), len(project.streams)
    return {"routes": routes, "streams": streams, "problems": len(project.problems)}
