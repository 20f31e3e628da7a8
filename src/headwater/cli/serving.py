"""`headwater dev`, `start` and `routes`: the way from settings to a running or inspected project.

Owns the event loop and what is printed while a server runs; the server itself is `headwater.lifetime`.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import uvloop

from headwater import __version__
from headwater.app import Running
from headwater.cli.fields import fields
from headwater.cli.logs import logging_to
from headwater.cli.report import counts, show_project, show_reload
from headwater.cli.terminal import say
from headwater.cli.typegen.keeper import TypesKeeper
from headwater.config import Settings
from headwater.envfile import read_env
from headwater.lifetime import OnProject, inspect_project, serve
from headwater.logline import Line, tell
from headwater.redact import Redaction
from headwater.steps.project.declare import Project

log = logging.getLogger("headwater.cli")

SHOWN = ("headwater.project",)
"""Loggers whose records a report says better; without a report they are logged."""

YOUNG_OBJECTS = 10_000
"""New objects after which garbage is looked for among them: a few megabytes at most, but for large ones."""


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    :raises HeadwaterError: the server cannot start.
    """
    keep = TypesKeeper(settings.project).keep if settings.dev else _keep_nothing
    redaction = redaction_of(settings)
    if settings.log.format == "json":
        with logging_to(settings.log, redaction=redaction):
            uvloop.run(serve(settings, on_ready=_both(_log_ready, keep), on_project=keep))
        return
    told = _Printed(settings)
    with logging_to(settings.log, without=SHOWN, redaction=redaction):
        uvloop.run(serve(settings, on_ready=_both(told.ready, keep), on_project=_each(told.project, keep)))
    say("Stopped.")


def redaction_of(settings: Settings) -> Redaction:
    """What the log of a project leaves out: the values of secret settings, and of variables in its `.env`
    that go by a secret's name."""
    redaction = Redaction(names=settings.log.redact)
    ours = [getattr(getattr(settings, one.section), one.name) for one in fields().values() if one.secret]
    theirs = read_env(settings.project).values.items()
    values = [*ours, *(value for name, value in theirs if redaction.is_secret(name))]
    return Redaction(values, settings.log.redact)


def _spare_collections() -> None:
    """Look for garbage less often, and never among what a start made, which is there to stay.

    By default a look comes with every 700 objects, and every hundredth goes through all modules: a tenth of
    the server's time in a crowd of posts. Garbage in cycles is rare here, so little waits for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _both(ready: Callable[[Running], None], keep: OnProject) -> Callable[[Running], None]:
    def on_ready(running: Running) -> None:
        keep(running.project)
        _spare_collections()
        ready(running)

    return on_ready


def _each(*listeners: OnProject) -> OnProject:
    def on_project(project: Project) -> None:
        for listener in listeners:
            listener(project)

    return on_project


def _keep_nothing(_project: Project) -> None:
    """Types are a matter of `headwater dev`."""


class _Printed:
    """Tells people what is served, and what each reload changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last = Project(0)

    def ready(self, running: Running) -> None:
        """The server answers from now on."""
        self._last = running.project
        mode = "reloads on change" if self._settings.dev else "no reload"
        say(f"Headwater {__version__}  {self._settings.project}  ({mode})", "bold")
        say()
        show_project(running.project, running.settings.auth.service_tokens)
        say(f"Ready at {running.url}", "bold green")

    def project(self, project: Project) -> None:
        """A new generation serves from now on."""
        show_reload(self._last, project)
        self._last = project


def _log_ready(running: Running) -> None:
    """A log for machines stays one: the address is a record too."""
    fields = {"url": running.url, "version": __version__, "project": str(running.settings.project)}
    tell(log, logging.INFO, Line(fields={**fields, **counts(running.project)}), "ready")


def run_inspection(settings: Settings) -> Project:
    """Load the project without serving it.

    :raises HeadwaterError: no worker could load it.
    """
    with logging_to(settings.log, without=SHOWN, redaction=redaction_of(settings)):
        return uvloop.run(inspect_project(settings))
