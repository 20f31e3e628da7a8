"""The words and flags of the `headwater` command.

Owns nothing that takes long to import: each command brings its parts when it runs. Knows nothing of how
errors are told; that is `main.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater import __version__
from headwater.cli import access_commands, work_commands
from headwater.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from headwater.cli.settings import Flag, LoadedSettings

app = typer.Typer(
    name="headwater",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(work_commands.queue_app)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="The project's folder.", show_default="this folder")
]
Host = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Address to listen on (server.host).")]
Port = Annotated[str | None, typer.Option(metavar="PORT", help="Port to listen on (server.port).")]
LogLevel = Annotated[
    str | None, typer.Option(metavar="LEVEL", help="Least level that is logged (log.level).")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; may be repeated."),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks of internal errors (or HEADWATER_DEBUG=1).")
]
NewEpoch = Annotated[
    bool,
    typer.Option(
        "--new-epoch",
        help="Begin a new history: the folder was restored from a snapshot. Clients load all anew.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for tools.")]


@app.callback(invoke_without_command=True)
def headwater(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Headwater, a server for live state."""
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def dev(
    project: Folder = Path(),
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
    set_: Set = None,
    new_epoch: NewEpoch = False,
    debug: Debug = False,
) -> None:
    """Serve the project and reload it when its files change."""
    loaded = _load(project, host=host, port=port, log_level=log_level, settings=set_, dev=True)
    from headwater.cli.serving import run_server

    run_server(replace(loaded.settings, new_epoch=new_epoch))


@app.command()
def start(
    project: Folder = Path(),
    host: Host = None,
    port: Port = None,
    log_level: LogLevel = None,
    set_: Set = None,
    new_epoch: NewEpoch = False,
    debug: Debug = False,
) -> None:
    """Serve the project, without reload."""
    loaded = _load(project, host=host, port=port, log_level=log_level, settings=set_)
    from headwater.cli.serving import run_server

    run_server(replace(loaded.settings, new_epoch=new_epoch))


@app.command()
def watch(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="The stream.")],
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The group.")],
    item: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only this item.", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="The server.", show_default="that of the project, else http://127.0.0.1:3000"
        ),
    ] = None,
    project: work_commands.Project = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", envvar="HEADWATER_TOKEN", help="A token, where it asks for one."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a group or an item of a running server, live."""
    from headwater.cli.projects import find_server
    from headwater.cli.watch import Watched
    from headwater.cli.watch import watch as run_watch

    if url is not None and project is not None:
        raise InvalidInput("--url and --project are two ways to name a server; give one.")
    run_watch(Watched(url or find_server(project), token, stream, group, item), json=json)


app.command()(work_commands.emit)
app.command()(work_commands.cancel)
app.command()(access_commands.connections)
app.command()(access_commands.revoke)


@app.command()
def limits(project: work_commands.Project = None, json: Json = False, debug: Debug = False) -> None:
    """Print what the running server holds in memory.

    For each kind of it: how much now, the bound over all clients, and the setting that sets it.
    """
    from headwater.cli.projects import find_project
    from headwater.control.client import ask

    held = list(ask(find_project(project), "held"))
    if json:
        _print_json(held)
        return
    from headwater.cli.held_report import show_held

    show_held(held)


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The folder to create.")],
    language: Annotated[
        str, typer.Option(metavar="LANGUAGE", help="python, typescript, or mixed for both.")
    ] = "python",
) -> None:
    """Write a new project that runs at once: a chat."""
    from headwater.cli.create import create_project
    from headwater.cli.terminal import say

    target = create_project(name, Path.cwd(), language)
    say(f"Created {target.name}: a chat, in one stream, one step and one page.")
    say()
    if target != Path.cwd():
        say(f"  cd {name}", "bold")
    say("  headwater dev", "bold")
    say()
    say("Then open the printed address in two windows.")


@app.command()
def routes(
    project: Folder = Path(),
    set_: Set = None,
    json: Json = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="The exit code is 1 where everybody may write without a step.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Print what the project declares, and its problems.

    For each stream it says who may read it, write it, and so on. Problems of a running server's events are
    told, too. The exit code is 1 if a file is at fault.
    """
    loaded = _load(project, settings=set_)
    from headwater.cli.lost_steps import with_lost_steps
    from headwater.cli.serving import run_inspection

    services = loaded.settings.auth.service_tokens
    found = with_lost_steps(run_inspection(loaded.settings), loaded.settings.project)
    if json:
        from headwater.cli.report import services_as_json
        from headwater.steps.project.described import described

        _print_json({**described(found), "services": services_as_json(services)})
    else:
        from headwater.cli.report import show_project

        show_project(found, services)
    if strict:
        from headwater.cli.report import open_writes, show_open_writes

        if any(open_writes(found)) if json else show_open_writes(found):
            raise typer.Exit(1)
    if any(problem.level == "error" for problem in found.problems):
        raise typer.Exit(1)


@app.command()
def types(
    project: Folder = Path(),
    set_: Set = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; the exit code is 1 if a file is not up to date.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write the project's types, for TypeScript and Python.

    The files types.d.ts and headwater_types.pyi hold every step's request and response and every stream's
    items, of all languages. What a file at fault declares stays as it last was, and the exit code is 1.
    """
    from headwater.cli.types_command import check_types, write_types

    settings = _load(project, settings=set_).settings
    if not (check_types if check else write_types)(settings):
        raise typer.Exit(1)


@app.command()
def config(project: Folder = Path(), set_: Set = None, json: Json = False, debug: Debug = False) -> None:
    """Print each setting: its value and origin."""
    from headwater.cli.show_settings import as_json, show_settings

    loaded = _load(project, settings=set_)
    if json:
        _print_json(as_json(loaded))
    else:
        show_settings(loaded)


def _load(
    project: Path,
    *,
    host: str | None = None,
    port: str | None = None,
    log_level: str | None = None,
    settings: Sequence[str] | None = None,
    dev: bool = False,
) -> LoadedSettings:
    from headwater.cli.settings import Flag, load_settings

    named = (
        ("--host", "server.host", host),
        ("--port", "server.port", port),
        ("--log-level", "log.level", log_level),
    )
    flags = [Flag(option, key, text) for option, key, text in named if text is not None]
    return load_settings(project, flags=[*map(_set_flag, settings or ()), *flags], dev=dev)


def _set_flag(written: str) -> Flag:
    from headwater.cli.settings import Flag

    key, equals, text = written.partition("=")
    if not equals:
        raise ConfigError(f'--set "{written}" has no value.', hint="It looks like: --set server.port=8080")
    return Flag(f"--set {key.strip()}", key.strip(), text.strip())


def _print_json(value: object) -> None:
    from headwater.cli.terminal import print_json

    print_json(value)
