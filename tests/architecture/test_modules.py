"""Modules stay small, and each says what it owns."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support.tree import files, text

MOST_LINES = 400
LONGER: dict[str, str] = {}
"""Modules that may be longer, each with its reason."""

MODULES = [path for path in files() if path.parts[0] == "src" and path.suffix == ".py"]
EVERY = pytest.mark.parametrize("module", MODULES, ids=str)


@EVERY
def test_a_module_is_not_too_long(module: Path) -> None:
    lines = len(text(module).splitlines())
    assert lines <= MOST_LINES or str(module) in LONGER, f"{module} has {lines} lines"


@EVERY
def test_a_module_opens_with_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(text(module)))


@EVERY
def test_a_module_is_no_drawer_for_odds_and_ends(module: Path) -> None:
    assert module.stem not in {"utils", "util", "helpers", "common", "misc"}


def test_every_exception_from_the_length_is_still_needed() -> None:
    for name in LONGER:
        assert len(text(Path(name)).splitlines()) > MOST_LINES
