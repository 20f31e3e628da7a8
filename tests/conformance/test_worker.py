"""Every worker passes the published suite of the worker protocol; Node's does on each line of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from headwater.testing.worker import SCENARIOS, Scenario, run
from support.node_worker import LINES, marks, node_of, node_worker

PROJECTS = Path(__file__).parent / "worker_projects"


def python_worker() -> Sequence[str]:
    return (sys.executable, "-P", "-m", "headwater.worker")


WORKERS: dict[str, tuple[str, Callable[[], Sequence[str]]]] = {
    "python": ("python", python_worker),
    **{f"node {line}": ("node", lambda line=line: node_worker(node_of(line))) for line in LINES},
}
MARKS = {f"node {line}": marks(line) for line in LINES}


@pytest.mark.parametrize("worker", [pytest.param(name, marks=MARKS.get(name, ())) for name in WORKERS])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.sentence)
def test_a_worker(scenario: Scenario, worker: str) -> None:
    language, command = WORKERS[worker]
    run(scenario, command=command(), projects=PROJECTS / language)
