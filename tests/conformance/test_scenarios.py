"""The Python client, the browser client and the React hooks pass every scenario against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from headwater.testing.scenarios import Driver, Scenario
from support import node
from support.scenario_server import Server

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "spec" / "scenarios").glob("*.yaml"))
DRIVERS = {"browser": ["core"], "events": ["core", "sse"], "react": ["react"]}
"""Packages of `clients/` whose driver runs, each with its arguments."""
WEBSOCKET_ONLY = {"presence", "presence-of-nothing"}
"""What event streams cannot do: tell the server anything."""
CONNECTS_ONCE = {"token-expired"}
"""What goes through tokens one by one, of which StrictMode asks for one more."""
SPARED = {"events": WEBSOCKET_ONLY, "react": CONNECTS_ONCE}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("scenarios") / "project", knows_tokens=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def driver(request: pytest.FixtureRequest) -> Iterator[tuple[str, Driver]]:
    if request.param in DRIVERS:
        package, *arguments = DRIVERS[request.param]
        script = ROOT / "clients" / package / "test" / "driver.mjs"
        driver = Driver([str(node.find().node), str(script), *arguments])
    else:
        driver = Driver()
    yield request.param, driver
    driver.close()


@pytest.mark.parametrize(
    ("driver", "file"),
    [
        pytest.param(driver, file, id=f"{driver}-{file.stem}")
        for driver in ["python", *DRIVERS]
        for file in SCENARIOS
        if file.stem not in SPARED.get(driver, ())
    ],
    indirect=["driver"],
    # What a driver is shared for: without a word it would be a test's own, as the file is.
    scope="module",
)
def test_scenario(file: Path, server: Server, driver: tuple[str, Driver]) -> None:
    scenario = yaml.safe_load(file.read_text())
    name, program = driver
    Scenario(f"{name}:{file.stem}", server, program).run(scenario["steps"])


def test_there_are_scenarios_for_every_part_of_the_protocol() -> None:
    assert len(SCENARIOS) >= 60
