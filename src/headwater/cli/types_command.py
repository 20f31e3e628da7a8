"""`headwater types`: writes the types of a project, or says whether they are up to date."""

from __future__ import annotations

from headwater.cli.report import show_problems
from headwater.cli.serving import run_inspection
from headwater.cli.terminal import say
from headwater.cli.typegen.files import stale, write
from headwater.config import Settings
from headwater.steps.project.declare import Project


def write_types(settings: Settings) -> bool:
    """Write both files; False if a file of the project is at fault, whereupon nothing is written.

    :raises HeadwaterError: a file cannot be written, or no worker could load the project.
    """
    project = _sound(settings)
    if project is None:
        return False
    written = write(project, settings.project)
    say(f"Wrote {' and '.join(written)}." if written else "The types are up to date.")
    return True


def check_types(settings: Settings) -> bool:
    """Whether both files are up to date; says which are not.

    :raises HeadwaterError: no worker could load the project.
    """
    project = _sound(settings)
    if project is None:
        return False
    old = stale(project, settings.project)
    say(f"Not up to date: {', '.join(old)}. Run `headwater types`." if old else "The types are up to date.")
    return not old


def _sound(settings: Settings) -> Project | None:
    """The project, unless something in it is at fault: its types would be missing."""
    project = run_inspection(settings)
    if any(problem.level == "error" for problem in project.problems):
        show_problems(project.problems)
        return None
    return project
