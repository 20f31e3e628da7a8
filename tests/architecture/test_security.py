"""What SECURITY.md promises has the tests and the settings that it names."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from headwater.config import Settings
from support.tree import ROOT, text

PAGE = text(Path("SECURITY.md"))
TESTS = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)) - {"tests/architecture/test_security.py"})
SETTINGS = sorted(set(re.findall(r"`\[(\w+)\] (\w+)`", PAGE)))
ROWS = [
    line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "|--"))
]


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests in a file; none where there is no such file."""
    path = ROOT / file
    tree = ast.parse(path.read_text() if path.is_file() else "")
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("test", TESTS)
def test_every_test_that_it_names_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert name.startswith("test_")
    assert name in names_in(file)


@pytest.mark.parametrize("row", ROWS)
def test_every_threat_names_a_defence_and_a_test_of_it(row: str) -> None:
    threat, defence, _, test = (cell.strip() for cell in row.strip("|").split("|"))
    assert threat
    assert defence
    assert re.search(r"`tests/[^`]+::test_\w+`", test)


@pytest.mark.parametrize(("section", "key"), SETTINGS)
def test_every_setting_that_it_names_is_one(section: str, key: str) -> None:
    (held,) = [field for field in fields(Settings) if field.name == section]
    assert key in {field.name for field in fields(type(getattr(Settings(), held.name)))}


def test_whoever_reads_the_first_page_or_the_manual_finds_it() -> None:
    assert "(SECURITY.md)" in text(Path("README.md"))
    for page in ("access", "operating", "deploying"):
        assert "(../SECURITY.md)" in text(Path(f"docs/{page}.md"))
        assert f"(docs/{page}.md)" in PAGE
