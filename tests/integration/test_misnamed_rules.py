"""A rule of a stream that is named wrongly is told, and opens nothing that it was meant to close."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command import headwater
from support.node_worker import node_worker

PYTHON, NODE = "notes_stream.py", "notes.stream.ts"


def told(project: Path, file: str, source: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """The streams that are there, and the problems: level, code, hint."""
    if file == NODE:
        node_worker()
    config = (
        "config = {'name': 'notes', 'schema': None}\n"
        if file == PYTHON
        else "export const config = { name: 'notes', schema: null }\n"
    )
    (project / "steps").mkdir()
    (project / "steps" / file).write_text(config + source)
    said = json.loads(headwater("routes", "--json", cwd=project).stdout)
    problems = [(one["level"], one["code"], one["hint"]) for one in said["problems"]]
    return [stream["name"] for stream in said["streams"]], problems


@pytest.mark.parametrize(
    ("file", "source", "meant"),
    [
        (PYTHON, "def can_acess(subscription, auth): return False\n", "can_access"),
        (PYTHON, "async def canaccess(subscription, auth): return False\n", "canAccess"),
        (PYTHON, "can_read = False\n", "can_access"),
        (PYTHON, "config['can_subscribe'] = False\n", "can_access"),
        (NODE, "export const canAcces = () => false\n", "canAccess"),
        (NODE, "export function can_read() { return false }\n", "can_access"),
    ],
)
def test_what_was_meant_to_close_a_stream_keeps_it_away(
    tmp_path: Path, file: str, source: str, meant: str
) -> None:
    hint = f"{meant} is meant? Else give it another name."
    assert told(tmp_path, file, source) == ([], [("error", "CONFIG_INVALID", hint)])


@pytest.mark.parametrize(
    ("file", "source", "meant"),
    [
        (PYTHON, "def can_wirte(change, auth): return True\n", "can_write"),
        (PYTHON, "def canUpdate(change, auth): return True\n", "canWrite"),
        (NODE, "export const canRemove = () => true\n", "canDelete"),
    ],
)
def test_what_would_have_opened_one_is_a_warning(tmp_path: Path, file: str, source: str, meant: str) -> None:
    hint = f"{meant} is meant? Else give it another name."
    assert told(tmp_path, file, source) == (["notes"], [("warning", "CONFIG_UNKNOWN_KEY", hint)])


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (PYTHON, "def can_read(auth): return True\n\n\ndef can_access(asked, auth): return can_read(auth)\n"),
        (PYTHON, "can_access = True\n\n\ndef can_afford(user): return True\n"),
        (PYTHON, "can_read = 3\n"),
        (NODE, "export const canRead = () => true\nexport const canAccess = () => canRead()\n"),
    ],
)
def test_helpers_of_a_rule_and_other_values_are_left_alone(tmp_path: Path, file: str, source: str) -> None:
    assert told(tmp_path, file, source) == (["notes"], [])
