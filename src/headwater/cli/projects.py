"""Which project a command is about that speaks to a running server: the one that it names, or the one in
which it stands, and where that server is. Owns the search and what is said when it finds none; asks a server
for no more than its address."""

from __future__ import annotations

from pathlib import Path

from headwater.config import ServerSettings
from headwater.control.client import ask, runs
from headwater.control.place import folder_of
from headwater.errors import AccessDenied, ConfigError, NoServer

MARKS = ("headwater.toml", "steps", "streams")
"""What a project's folder holds before a server has run there; one of them."""
MOST_LOOKED_AT = 200
"""Folders beside a command in which a server is looked for, to name it in an error."""


def find_project(named: Path | None) -> Path:
    """The folder of the project: the one named, or the nearest one from here upwards.

    :raises ConfigError: the one named is no folder, or this is no project; the error names those near by in
        which a server runs.
    """
    if named is not None:
        root = named.expanduser().resolve()
        if not root.is_dir():
            raise ConfigError(f'"{named}" is not a folder.', hint="Name the folder of a project.")
        return root
    here = Path.cwd()
    for folder in (here, *here.parents):
        if folder_of(folder).is_dir():
            return folder
    if any((here / mark).exists() for mark in MARKS):
        return here
    near = _serving_below(here)
    if near:
        listed = ", ".join(str(folder.relative_to(here)) for folder in near)
        raise ConfigError(
            f"This folder is no project; servers run in {listed}.",
            hint=f"Go there, or name one: --project {near[0].relative_to(here)}",
        )
    raise ConfigError(
        "This folder is no project.",
        hint="Go to a project's folder, or name it with --project DIR; `headwater create NAME` makes one.",
    )


def find_server(named: Path | None) -> str:
    """The address of the project's server: what the running one says, whose flags nobody else knows; where it
    cannot be asked, what the settings say. Outside of every project that of a server without settings.

    :raises ConfigError: the one named is no folder, or its settings cannot be used.
    :raises NoServer: none runs there.
    """
    from headwater.cli.settings import load_settings  # Not what `headwater queue` should wait for.
    from headwater.server.http.authority import local_url

    try:
        project = find_project(named)
    except ConfigError:
        if named is not None:
            raise
        return local_url(ServerSettings().host, ServerSettings().port)
    try:
        (said,) = ask(project, "address")
        return said["url"]
    except (AccessDenied, NoServer) as unasked:
        server = load_settings(project).settings.server
        if isinstance(unasked, NoServer) and server.control == "on":
            raise
        return local_url(server.host, server.port, "https" if server.tls_cert else "http")


def _serving_below(here: Path) -> list[Path]:
    """The folders in this one, and in those, in which a server runs."""
    try:
        found = sorted({*here.glob("*/.headwater"), *here.glob("*/*/.headwater")})
    except OSError:
        return []
    folders = dict.fromkeys(mark.parent.resolve() for mark in found[:MOST_LOOKED_AT])
    return [folder for folder in folders if folder.is_relative_to(here) and runs(folder)]
