"""A command that the tests have forked is the command: what goes in, what comes out, how it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from support.command import headwater, serving
from support.warm import can_be_forked

STEP = """
import os

config = {"type": "api", "name": "Who", "method": "GET", "path": "/who", "emits": []}


async def handler(req, ctx):
    return {"status": 200, "body": [os.environ["WHO"], os.getppid()]}
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("config", "--json"),
        ("routes",),
        ("no-such-command",),
        ("config", "--set", "server.port=none"),
    ],
)
def test_it_says_and_ends_with_the_same_as_the_installed_one(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "who_step.py").write_text(STEP)
    environ = {"HEADWATER_SERVER_HOST": "127.0.0.2", "WHO": "ada"}
    forked = headwater(*arguments, cwd=tmp_path, **environ)
    installed = headwater(*arguments, cwd=tmp_path, installed=True, **environ)
    assert (forked.returncode, forked.stdout, forked.stderr) == (
        installed.returncode,
        installed.stdout,
        installed.stderr,
    )


def test_an_interpreter_that_starts_otherwise_is_not_forked() -> None:
    assert can_be_forked(dict(os.environ) | {"HEADWATER_SERVER_PORT": "1", "WHO": "ada"})
    assert not can_be_forked(dict(os.environ) | {"PYTHONUTF8": "1"})
    assert not can_be_forked(dict(os.environ) | {"LC_ALL": "xx_XX"})


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_server_is_a_process_of_its_own_that_signals_end(tmp_path: Path, number: int, code: int) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    start = ("start", "--port", "0")
    with serving(*start, cwd=one) as server, serving(*start, cwd=two) as other:
        assert server.url != other.url
        assert server.process.poll() is None
        assert server.stop(number) == code
        assert server.process.poll() == code
        assert other.process.poll() is None
