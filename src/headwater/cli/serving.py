"""`headwater dev`, `start` and `routes`: the way from settings to a running or inspected project.

Owns the event loop and what is printed when a server is ready; the server itself is `headwater.app`.
"""

from __future__ import annotations

import importlib
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import uvloop

from headwater import __version__
from headwater.cli.logs import logging_to
from headwater.cli.report import show_project
from headwater.cli.terminal import say
from headwater.config import Settings
from headwater.steps.declare import Project

Answer = TypeVar("Answer")


class Running(Protocol):
    """A server that is ready."""

    @property
    def url(self) -> str:
        """Where to find it."""
        ...

    @property
    def project(self) -> Project:
        """What it serves."""
        ...


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    app: Any = importlib.import_module("headwater.app")

    def ready(running: Running) -> None:
        mode = "reloads on change" if settings.dev else "fixed"
        say(f"Headwater {__version__}  {settings.project}  ({mode})", "bold")
        say()
        show_project(running.project)
        say(f"Ready at {running.url}", "bold green")

    with logging_to(settings.log):
        _run(app.serve(settings, on_ready=ready))


def run_inspection(settings: Settings) -> Project:
    """Load the project without serving it."""
    app: Any = importlib.import_module("headwater.app")
    inspection: Coroutine[Any, Any, Project] = app.inspect_project(settings)
    with logging_to(settings.log):
        return _run(inspection)


def _run(work: Coroutine[Any, Any, Answer]) -> Answer:
    return uvloop.run(work)
