"""The private parts of uvicorn that `server/listen/` stands on are as they were when it was written.

A failure here says: uvicorn has changed. Read its source beside `server/listen/`, run the tests of HTTP and
of sockets, then raise the ceiling in pyproject.toml and take the new fingerprints.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

CYCLE, PROTOCOL, SERVER = RequestResponseCycle, HttpToolsProtocol, uvicorn.Server
FINGERPRINTS: dict[Callable[..., Any], str] = {
    PROTOCOL.__init__: "4f0899941034",
    PROTOCOL.connection_made: "6efb565ff3d3",
    PROTOCOL.connection_lost: "c91a4c9bf2e2",
    PROTOCOL.data_received: "010a7ae59a5d",
    PROTOCOL.on_message_begin: "96d377fdc7c2",
    PROTOCOL.on_headers_complete: "1ea8589acfad",
    PROTOCOL.on_body: "dba9c32aeba3",
    PROTOCOL.on_message_complete: "1fbad42dc31f",
    PROTOCOL.on_response_complete: "64e254f28e38",
    PROTOCOL.pause_writing: "17a8fd215d96",
    PROTOCOL.resume_writing: "7844bbaa8cce",
    PROTOCOL.timeout_keep_alive_handler: "8b53bf5f2e20",
    PROTOCOL.handle_websocket_upgrade: "179c4f769386",
    PROTOCOL._should_upgrade: "8fcad1ab8e09",
    PROTOCOL._unsupported_upgrade_warning: "55bbd2762b18",
    PROTOCOL.send_400_response: "ae5a4a3782b6",
    PROTOCOL.shutdown: "d7351fa33f00",
    PROTOCOL._start_asgi_task: "9c08c2571ae9",
    CYCLE.run_asgi: "0f33f2449a44",
    CYCLE.send: "abdd8601b326",
    CYCLE.receive: "8124ae006be7",
    SERVER.serve: "112ef41af521",
    SERVER.startup: "2aa1d70a244b",
    SERVER.main_loop: "afccb353a119",
    SERVER.on_tick: "60ea49b06ccf",
    SERVER.shutdown: "9b33c5056299",
    SERVER.capture_signals: "e1bbcd4770d1",
}
"""Of what is overridden or called in a certain order: the first digits of its source's SHA-256."""


def requirement() -> Requirement:
    listed = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    return next(one for one in map(Requirement, listed) if one.name == "uvicorn")


def test_the_installed_version_is_one_that_was_looked_at() -> None:
    assert requirement().specifier.contains(version("uvicorn"))
    assert any(one.operator == "<" for one in requirement().specifier), "the next minor version is not known"


@pytest.mark.parametrize("part", FINGERPRINTS, ids=lambda part: part.__qualname__)
def test_a_part_is_as_it_was(part: Callable[..., Any]) -> None:
    found = hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:12]
    told = f"uvicorn changed {part.__qualname__}: look at server/listen/, then take the fingerprint {found}"
    assert found == FINGERPRINTS[part], told


async def test_a_connection_and_a_request_have_the_members_that_are_used() -> None:
    config = uvicorn.Config(lambda: None, http=PROTOCOL, ws="none", log_config=None)
    protocol = PROTOCOL(config, ServerState(), {})
    used = "app connections cycle flow headers logger loop parser pipeline server_state transport"
    missing = [name for name in (*used.split(), "timeout_keep_alive") if not hasattr(protocol, name)]
    assert missing == []

    cycle = CYCLE(
        {},
        None,
        FlowControl(None),
        None,
        None,
        False,
        [],
        asyncio.Event(),
        False,
        True,
        lambda: None,  # type: ignore[arg-type, typeddict-item]
    )
    used = "disconnected keep_alive message_event response_complete response_started waiting_for_100_continue"
    assert [name for name in used.split() if not hasattr(cycle, name)] == []


async def test_a_server_has_the_members_that_are_used() -> None:
    server = SERVER(uvicorn.Config(lambda: None, log_config=None))
    used = "should_exit force_exit server_state"
    assert [name for name in used.split() if not hasattr(server, name)] == []
    state = server.server_state
    assert (state.connections, state.tasks, state.default_headers) == (set(), set(), [])


def test_every_status_has_its_line() -> None:
    assert STATUS_LINE[200] == b"HTTP/1.1 200 OK\r\n"
    assert set(range(200, 600)) <= set(STATUS_LINE)
