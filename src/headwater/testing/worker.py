"""The conformance suite of the worker protocol: scenarios that every worker passes, in whatever language.

A scenario is a conversation with a started worker about a fixture project. The projects exist once per
language, with the same names of steps and streams: `basic`, `broken`, `access`, `lifespan`. Needs no test
framework:

    for scenario in SCENARIOS:
        run(scenario, command=[...], projects=Path(...))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headwater.protocol.workers import messages as protocol
from headwater.testing import (
    worker_api,
    worker_blocking,
    worker_calls,
    worker_life,
    worker_lifespan,
    worker_progress,
    worker_runs,
    worker_state,
)
from headwater.testing.worker_driver import WorkerDriver
from headwater.testing.worker_scenario import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario", "WorkerDriver", "run"]

PARTS = (
    worker_life,
    worker_api,
    worker_calls,
    worker_state,
    worker_runs,
    worker_blocking,
    worker_lifespan,
    worker_progress,
)
"""The modules whose scenarios make up the suite; importing them fills the list."""


def run(scenario: Scenario, *, command: Sequence[str], projects: Path) -> None:
    """Run one scenario against a worker that `command` starts; `projects` holds the fixtures of its language.

    :raises AssertionError: the worker does something else.
    """
    with WorkerDriver(command, environment=scenario.environment) as worker:
        hello = worker.wait_for("hello", timeout=30.0)
        assert hello.header["protocol"] == protocol.PROTOCOL
        if scenario.project:
            worker.load(projects / scenario.project)
        scenario.talk(worker)
