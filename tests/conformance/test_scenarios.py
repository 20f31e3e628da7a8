"""The Python client passes every language-neutral scenario against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from headwater.testing.scenarios import Driver, Scenario, Server

SCENARIOS = sorted((Path(__file__).parents[2] / "spec" / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("scenarios") / "project")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario(file: Path, server: Server, driver: Driver) -> None:
    scenario = yaml.safe_load(file.read_text())
    Scenario(file.stem, server, driver).run(scenario["steps"])


def test_there_are_scenarios_for_every_part_of_the_protocol() -> None:
    assert len(SCENARIOS) >= 60
