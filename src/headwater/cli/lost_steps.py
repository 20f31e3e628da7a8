"""Steps that a project has no longer, for which events wait at its running server, shown as problems of the
project. Asks the server; where none runs, none are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headwater.control.client import ask
from headwater.errors import HeadwaterError
from headwater.steps.project.declare import Problem, Project


def with_lost_steps(project: Project, folder: Path) -> Project:
    """The project with a problem more for each such step."""
    try:
        queues = list(ask(folder, "queue.list"))
    except HeadwaterError:  # No server of ours: nothing waits, or nobody tells.
        return project
    lost = [
        Problem(
            "warning",
            "STEP_LOST",
            f'The project has no step "{queue["step"]}" any more, for which {count} events wait',
            hint="They are given up in time ([work] lost_step_age); "
            f"`headwater queue purge --waiting --step {queue['step']}` throws them away now.",
        )
        for queue in queues
        if queue["kind"] == "lost" and (count := queue["waiting"] + queue["retrying"])
    ]
    return replace(project, problems=(*project.problems, *lost))
