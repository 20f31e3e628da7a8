"""`headwater types`: writes the types of a project, or says whether they are up to date."""

from __future__ import annotations

from headwater.cli.report import show_problems
from headwater.cli.serving import run_inspection
from headwater.cli.terminal import say
from headwater.cli.typegen.files import stale, write
from headwater.config import Settings
from headwater.steps.project.declare import Project


def write_types(settings: Settings) -> bool:
    """Write both files for what loads; what does not keeps its last types. False if a file of the project is
    at fault.

    :raises HeadwaterError: a file cannot be written, or no worker could load the project.
    """
    project = run_inspection(settings)
    show_problems(project.problems)
    written = write(project, settings.project)
    say(f"Wrote {' and '.join(written)}." if written else "The types are up to date.")
    return not _at_fault(project)


def check_types(settings: Settings) -> bool:
    """Whether both files are up to date; says which are not.

    :raises HeadwaterError: no worker could load the project.
    """
    project = run_inspection(settings)
    if _at_fault(project):
        show_problems(project.problems)
        return False
    old = stale(project, settings.project)
    say(f"Not up to date: {', '.join(old)}. Run `headwater types`." if old else "The types are up to date.")
    return not old


def _at_fault(project: Project) -> bool:
    return any(problem.level == "error" for problem in project.problems)
