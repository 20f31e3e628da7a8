"""`headwater watch`, run as people run it: a group and an item of a running server, live."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.projects import find_server
from support import command
from support.command import DEADLINE, HEADWATER, Output, environment
from support.scenario_server import Server

headwater = partial(command.headwater, installed=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "project")
    server.start()
    yield server
    server.stop()


def write(server: Server, *writes: dict[str, Any]) -> None:
    assert server.write([{"stream": "room", "group": "g", **one} for one in writes]) == ""


@contextmanager
def watching(*arguments: str, cwd: Path | None = None) -> Iterator[tuple[subprocess.Popen[str], Output]]:
    process = subprocess.Popen(
        [HEADWATER, "watch", *arguments],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        yield process, Output(process.stdout)
    finally:
        process.kill()
        process.wait(DEADLINE)
        process.stdout.close()


def test_a_group_is_a_line_for_each_change(server: Server) -> None:
    write(server, {"set": "a", "data": {"n": 1}})
    with watching("room", "g", "--url", server.url) as (process, output):
        output.wait_for('"create"')
        write(server, {"set": "a", "data": {"n": 2}}, {"delete": "a"})
        output.wait_for('"delete"')
        assert [json.loads(line)["kind"] for line in output.lines] == ["create", "update", "delete"]
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0


def test_an_item_is_a_line_for_each_state_and_null_while_there_is_none(server: Server) -> None:
    with watching("room", "g", "a", "--json", "--url", server.url) as (_, output):
        output.wait_for("null")
        write(server, {"set": "b", "data": {}}, {"set": "a", "data": {"n": 1}})
        assert json.loads(output.wait_for(".*n.:.*")[0]) == {"id": "a", "n": 1}


def test_a_server_that_is_not_there_or_refuses_is_an_error(server: Server, tmp_path: Path) -> None:
    project = tmp_path / "project"
    refused = headwater("watch", "nothing", "g", "--project", str(project), cwd=tmp_path)
    assert (refused.returncode, "nothing" in refused.stderr) == (1, True)
    server.stop()
    missing = headwater("watch", "room", "g", "--url", server.url, cwd=tmp_path)
    assert (missing.returncode, "CANNOT_CONNECT" in missing.stderr) == (1, True)
    assert "--url names another one" in missing.stderr
    stopped = headwater("watch", "room", "g", cwd=project)
    assert (stopped.returncode, "NO_SERVER" in stopped.stderr) == (1, True)
    both = headwater("watch", "room", "g", "--url", server.url, "--project", ".", cwd=project)
    assert (both.returncode, "--project" in both.stderr) == (2, True)


def test_in_a_project_its_own_server_is_meant_whatever_port_it_was_given(
    server: Server, tmp_path: Path
) -> None:
    assert server.url.rpartition(":")[2] != "3000"
    write(server, {"set": "a", "data": {"n": 1}})
    with watching("room", "g", cwd=tmp_path / "project" / "steps") as (_, output):
        output.wait_for('"create"')


def test_where_the_server_cannot_be_asked_its_address_is_what_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "headwater.toml").write_text('[server]\nhost = "::"\nport = 4000\ncontrol = "off"\n')
    assert find_server(tmp_path) == "http://[::1]:4000"


def test_on_a_terminal_it_is_a_table_and_what_strangers_wrote_is_text(server: Server) -> None:
    write(server, {"set": "a", "data": {"text": "hello \x1b[2Jworld", "n": 1}})
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [HEADWATER, "watch", "room", "g", "--url", server.url],
        env=environment(TERM="xterm-256color", COLUMNS="100", LINES="30", NO_COLOR=""),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, changed = [""], threading.Condition()

    def read() -> None:
        while True:
            try:
                text = os.read(ours, 65536).decode()
            except OSError:
                return
            with changed:
                seen[0] += text
                changed.notify_all()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with changed:
            assert changed.wait_for(lambda: "1 item" in seen[0] and "hello" in seen[0], DEADLINE), seen
        write(server, {"set": "b", "data": {"text": "second"}})
        with changed:
            assert changed.wait_for(lambda: "second" in seen[0], DEADLINE), seen
        assert "\x1b[2J" not in seen[0]
        assert re.search(r"room / g", seen[0])
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait(DEADLINE)
        reader.join(DEADLINE)
        os.close(ours)
