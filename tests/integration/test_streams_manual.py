"""What the manual of streams shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.scenario_server import Server

MANUAL = (Path(__file__).parents[2] / "docs" / "streams.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", MANUAL, re.S)
SECONDS = 60.0


def block(language: str, holding: str) -> str:
    return next(text for kind, text in BLOCKS if kind == language and holding in text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("manual") / "project"
    server = Server(folder)
    for written in (folder / "steps").iterdir():
        written.unlink()
    for kind, text in BLOCKS:
        if kind == "python" and text.startswith("# steps/"):
            (folder / text[2:].partition("\n")[0]).write_text(text)
    server.start()
    yield server
    server.stop()


def test_the_step_writes_what_it_says(server: Server) -> None:
    answer = httpx.post(f"{server.url}/post")

    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == "Hello, world"


CURLS = [line.split("  #")[0].strip() for line in block("sh", "curl").splitlines()]


@pytest.mark.parametrize("line", CURLS)
def test_each_line_of_curl_answers(server: Server, line: str) -> None:
    httpx.post(f"{server.url}/post")
    line = line.replace("http://localhost:3000", server.url)
    live = "event-stream" in line
    command = ["sh", "-c", line.replace("curl", "curl -sSf --max-time 1" if live else "curl -sSf", 1)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)

    if live:
        assert '"t":"complete"' in done.stdout
        assert re.search(r"^id: \w+\.\d+$", done.stdout, re.M)
    else:
        assert done.returncode == 0, done.stderr
        assert '"items"' in done.stdout or '"text":"Hello, world"' in done.stdout


def test_the_client_prints_what_it_follows(server: Server) -> None:
    httpx.post(f"{server.url}/post")
    source = block("python", "headwater.client").replace("http://localhost:3000", server.url)
    process = subprocess.Popen([sys.executable, "-u", "-c", source], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "['Hello, world']\n"
    finally:
        process.kill()
        process.communicate()


def test_every_key_of_the_table_is_taken(server: Server) -> None:
    assert httpx.get(f"{server.url}/streams/chat.presence/room").status_code == 200
    assert httpx.get(f"{server.url}/streams/chat/secret").status_code == 403
