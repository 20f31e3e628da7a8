"""Every worker passes the published suite of the worker protocol."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from headwater.testing.worker import SCENARIOS, Scenario, run
from support.node_worker import node_worker

PROJECTS = Path(__file__).parent / "worker_projects"
WORKERS: dict[str, Callable[[], Sequence[str]]] = {
    "python": lambda: (sys.executable, "-P", "-m", "headwater.worker"),
    "node": node_worker,
}


@pytest.mark.parametrize("language", WORKERS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.sentence)
def test_a_worker(scenario: Scenario, language: str) -> None:
    run(scenario, command=WORKERS[language](), projects=PROJECTS / language)
