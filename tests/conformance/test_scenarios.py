"""The Python client, the browser client and the React hooks pass every scenario against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from headwater.testing.scenarios import Driver, Scenario, Server
from support import node

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "spec" / "scenarios").glob("*.yaml"))
PACKAGES = {"browser": "core", "react": "react"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("scenarios") / "project")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["python", *PACKAGES])
def driver(request: pytest.FixtureRequest) -> Iterator[tuple[str, Driver]]:
    package = PACKAGES.get(request.param)
    driver = Driver() if package is None else Driver([str(node.find().node), str(program(package))])
    yield request.param, driver
    driver.close()


def program(package: str) -> Path:
    return ROOT / "clients" / package / "test" / "driver.mjs"


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario(file: Path, server: Server, driver: tuple[str, Driver]) -> None:
    scenario = yaml.safe_load(file.read_text())
    name, program = driver
    Scenario(f"{name}:{file.stem}", server, program).run(scenario["steps"])


def test_there_are_scenarios_for_every_part_of_the_protocol() -> None:
    assert len(SCENARIOS) >= 60
