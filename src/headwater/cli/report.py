"""What a project declares, shown to people: tables of routes, streams, steps and problems, and what a reload
changed. Owns the words and their order; knows no server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from headwater.cli.terminal import out, say, table, visible
from headwater.config import ServiceToken
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
from headwater.streams.catalog import VERBS, Verb


def routes_of(project: Project) -> list[ApiStep]:
    """The steps with a route, by path and method."""
    found = [step for step in project.steps if isinstance(step, ApiStep)]
    return sorted(found, key=lambda step: (step.path, step.method))


def show_project(project: Project, services: Sequence[ServiceToken] = ()) -> None:
    """Print everything that the project declares, who may do what with it, and what is wrong with it."""
    who = _callers(project.authenticator)
    table(
        "Routes",
        ("method", "path", "who", "step", "file"),
        (_route_row(one, who) for one in routes_of(project)),
    )
    rows = (_stream_row(one, services) for one in project.streams)
    table("Streams, and who may", ("name", *VERBS, "file"), rows)
    asked = [project.authenticator] if project.authenticator is not None else []
    table("Who asks", ("said by", "file"), map(_authenticator_row, asked))
    table("Service tokens", ("name", "streams", "may"), map(_service_row, services))
    others = [step for step in project.steps if not isinstance(step, ApiStep)]
    table("Other steps", ("type", "name", "runs on", "file"), map(_step_row, others))
    if not project.steps and not project.streams:
        say("No steps and no streams found.", "yellow")
    show_problems(project.problems)


def _callers(who: Authenticator | None) -> str:
    """Who may call API steps."""
    if who is None or who.old:
        return "open"
    return "nobody" if who.broken else "asked"


def show_open_writes(project: Project) -> bool:
    """Print what everybody may write without a step; whether there is any."""
    found = list(open_writes(project))
    if found:
        say(f"Open writes ({len(found)}): everybody may do this, known or not", "bold red")
        for stream, verb in found:
            say(f"    {verb} {stream.name}  ({stream.file})")
        say()
    return bool(found)


def open_writes(project: Project) -> Iterator[tuple[StreamDeclaration, Verb]]:
    """The streams, and the verbs but to read them, that are everybody's because their file says so."""
    for stream in project.streams:
        for verb in VERBS:
            if verb != "read" and getattr(stream.rights, verb) == "open":
                yield stream, verb


def _route_row(step: ApiStep, who: str) -> Sequence[str]:
    return step.method, step.path, who, step.name, step.file


def _stream_row(stream: StreamDeclaration, services: Sequence[ServiceToken]) -> Sequence[str]:
    return stream.name, *(_who(stream, verb, services) for verb in VERBS), stream.file


def _who(stream: StreamDeclaration, verb: Verb, services: Sequence[ServiceToken]) -> str:
    """Who may do that: open, rule, readers or nobody, and services beside whom the token lets."""
    right: str = getattr(stream.rights, verb)
    if right == "open" or not any(one.allows(verb, stream.name) for one in services):
        return right
    return "service" if right == "nobody" else f"{right}, service"


def _service_row(service: ServiceToken) -> Sequence[str]:
    return (
        service.name,
        ", ".join(sorted(service.streams)),
        ", ".join(verb for verb in VERBS if verb in service.may),
    )


def _authenticator_row(who: Authenticator) -> Sequence[str]:
    refused = "nobody: streams are closed" if who.old else "nobody: all are refused"
    return refused if who.broken else who.name, who.file


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


def services_as_json(services: Sequence[ServiceToken]) -> dict[str, Any]:
    """What service tokens are for, by name, as plain values for tools."""
    return {one.name: {"streams": sorted(one.streams), "may": sorted(one.may)} for one in services}
