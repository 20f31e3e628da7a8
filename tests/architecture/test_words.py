"""The project speaks of itself alone: no machine's paths, no package registry, nobody's tools."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.tree import files, text

HOSTS = re.compile(r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|deb\.debian\.org)\b", re.IGNORECASE)
MACHINE_PATHS = re.compile(r"(?<![\w.\-/*}])/(work|root|home|Users)/")
TEMPORARY = re.compile(r"(?<![\w.\-/*}])/tmp\b")
TOOLS = re.compile(r"\b(claude|anthropic|openai|chatgpt|copilot)\b", re.IGNORECASE)

SELF = Path("tests/architecture/test_words.py")
LOCKS = {"uv.lock"}
SPOKEN = [path for path in files() if path != SELF and path.name not in LOCKS]


def faults(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), start=1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("pattern", [HOSTS, MACHINE_PATHS, TOOLS], ids=["hosts", "machine paths", "tools"])
def test_no_file_names_what_is_not_the_project(pattern: re.Pattern[str]) -> None:
    assert faults(pattern, SPOKEN) == []


def test_only_tests_name_the_folder_for_temporary_files() -> None:
    assert faults(TEMPORARY, [path for path in SPOKEN if path.parts[0] != "tests"]) == []
