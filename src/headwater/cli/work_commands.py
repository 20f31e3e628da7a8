"""The words and flags of the commands about events: `headwater queue ...`, `emit` and `cancel`. They speak to
the running server of a project by its control socket.

Owns nothing that takes long to import, as `commands.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.errors import InvalidInput

queue_app = typer.Typer(
    name="queue", no_args_is_help=True, rich_markup_mode=None, help="Look at events and runs."
)

Project = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The project's folder.", show_default="this folder or one above"),
]
Step = Annotated[str | None, typer.Option(metavar="STEP", help="Only those of this step.")]
StepName = Annotated[str, typer.Argument(metavar="STEP", help="The step.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The event's id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for tools.")]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks of internal errors (or HEADWATER_DEBUG=1).")
]


@queue_app.command(name="list")
def list_queues(project: Project = None, json: Json = False, debug: Debug = False) -> None:
    """Print how many events of each step wait, run or are dead."""
    queues = list(ask_server(project, "queue.list"))
    if json:
        _print_json(queues)
        return
    from headwater.cli.work_report import show_queues

    show_queues(queues)


@queue_app.command()
def running(step: Step = None, project: Project = None, json: Json = False, debug: Debug = False) -> None:
    """Print the runs under way, with the ids to cancel them by."""
    runs = list(ask_server(project, "queue.running", step=step))
    if json:
        _print_json(runs)
        return
    from headwater.cli.work_report import show_running

    show_running(runs)


@queue_app.command()
def dead(
    step: Step = None,
    limit: Annotated[int, typer.Option(metavar="N", help="Most for each step, the newest.")] = 100,
    project: Project = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the events that were given up."""
    letters = list(ask_server(project, "queue.dead", step=step, limit=limit))
    if json:
        _print_json(letters)
        return
    from headwater.cli.work_report import show_dead

    show_dead(letters)


@queue_app.command()
def show(job: Id, project: Project = None, json: Json = False, debug: Debug = False) -> None:
    """Print all about one event or run.

    That is its data, attempts, error and traceback, and the steps that it has kept.
    """
    (found,) = ask_server(project, "queue.show", id=job)
    if json:
        _print_json(found)
        return
    from headwater.cli.work_report import show_job

    show_job(found)


@queue_app.command()
def retry(
    job: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The event's id.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All of them, or all of --step.")] = False,
    step: Step = None,
    project: Project = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Try dead events again, as if they were new."""
    if (job is None) != all_:
        raise InvalidInput(
            "Name one event, or say --all.", hint="`headwater queue dead` lists them with their ids."
        )
    if step is not None and not all_:
        raise InvalidInput("--step goes with --all.")
    count = _sum(ask_server(project, "queue.retry", id=job, step=step), "retried")
    tell_done({"retried": count}, f"{_events(count)} tried again.", json=json)


@queue_app.command()
def purge(
    step: Step = None,
    dead: Annotated[bool, typer.Option("--dead", help="Those that were given up; unless said.")] = False,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Those that wait or are to be tried again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    project: Project = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Throw events away for good. It asks first."""
    if dead and waiting:
        raise InvalidInput("--dead and --waiting are two commands.")
    what = "waiting" if waiting else "dead"
    if not yes:
        _confirm(project, step, what)
    count = _sum(ask_server(project, "queue.purge", what=what, step=step), "purged")
    tell_done({"purged": count}, f"{_events(count)} thrown away.", json=json)


@queue_app.command()
def pause(step: StepName, project: Project = None, json: Json = False, debug: Debug = False) -> None:
    """Let a step start no more events, also after a restart."""
    (done,) = ask_server(project, "queue.pause", step=step)
    tell_done(done, f'"{step}" {"is paused" if done["changed"] else "was paused already"}.', json=json)


@queue_app.command()
def resume(step: StepName, project: Project = None, json: Json = False, debug: Debug = False) -> None:
    """Let a paused step go on."""
    (done,) = ask_server(project, "queue.resume", step=step)
    tell_done(done, f'"{step}" {"goes on" if done["changed"] else "was not paused"}.', json=json)


def emit(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="The event's topic.")],
    data: Annotated[
        str, typer.Argument(metavar="JSON", help='Its data; "-" reads them from standard input.')
    ],
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A key that was used in the last day does nothing.")
    ] = None,
    delay: Annotated[float, typer.Option(metavar="SECONDS", help="Wait before it is handled.")] = 0.0,
    group: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Its messageGroupId, in which order is kept.")
    ] = None,
    project: Project = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Emit an event. Once this ends, it is kept."""
    text = sys.stdin.read() if data == "-" else data
    if not text.strip():
        raise InvalidInput(
            f"There is no data{' on standard input' if data == '-' else ''}.",
            hint="The data of an event is JSON; null is the least of it.",
        )
    (done,) = ask_server(project, "emit", topic=topic, data=text, key=key, delay=delay, group=group)
    runs: dict[str, str] = done["runs"]
    if not runs:
        tell_done(done, f'Nobody subscribes to "{topic}"; the event is dropped.', json=json, style="yellow")
        return
    if done["repeated"]:
        told = "The key was used before; nothing happened. These are the runs of the first:"
    else:
        told = f"Accepted for {len(runs)} step{'s' if len(runs) > 1 else ''}, in these runs:"
    tell_done(done, told, *(f"  {run}  {step}" for step, run in runs.items()), json=json)


def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, which is its event's.")],
    project: Project = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Stop a run, or take it back where it waits."""
    (done,) = ask_server(project, "cancel", run=run)
    tell_done(done, "Cancelled.", json=json)


def ask_server(project: Path | None, method: str, **args: Any) -> Iterator[Any]:
    """What the running server of a project answers."""
    from headwater.cli.projects import find_project
    from headwater.control.client import ask

    return ask(find_project(project), method, **args)


def _confirm(project: Path | None, step: str | None, what: str) -> None:
    from headwater.cli.projects import find_project
    from headwater.control.client import ask

    root = find_project(project)
    names = ("waiting", "retrying") if what == "waiting" else ("dead",)
    queues = [queue for queue in ask(root, "queue.list") if step in (None, queue["step"])]
    count = sum(queue[name] for queue in queues for name in names)
    if not sys.stdin.isatty():
        raise InvalidInput(f"This throws {_events(count)} of {root} away.", hint="Say --yes to do it.")
    typer.confirm(f"Throw {_events(count)} of {root} away for good?", abort=True)


def _sum(entries: Iterator[dict[str, int]], name: str) -> int:
    return sum(entry[name] for entry in entries)


def _events(count: int) -> str:
    return f"{count} event{'' if count == 1 else 's'}"


def tell_done(done: Any, *lines: str, json: bool, style: str = "") -> None:
    """Print an answer: these lines for people, or what it is for tools."""
    if json:
        _print_json(done)
        return
    from headwater.cli.terminal import say

    for line in lines:
        say(line, style)


def _print_json(value: Any) -> None:
    from headwater.cli.terminal import print_json

    print_json(value)
