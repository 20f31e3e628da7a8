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

FORMAT = re.compile(r"\bOpenAI-compatible\b")
"""What the format of an endpoint is called wherever there are such endpoints."""
FORMAT_OF = re.compile(r"README\.md|CHANGELOG\.md|examples/llm-chat[\w-]*/.*|tests/(\w+/)?test_llm_\w+\.py")
"""Who has to name the format: the example that speaks it, its tests, and the lines that announce it."""
PACKAGE = re.compile(r"\bfrom openai import OpenAI\b|\bOpenAI\(|`openai`|\"openai>=[\d.]+\"")
"""The package of a client that people have in their projects; by its exact name, as one writes it in code."""
PACKAGE_OF = re.compile(
    r"pyproject\.toml|examples/llm-chat/(README\.md|variants/.*)|tests/acceptance/test_llm_client\.py"
)
"""Who has to name the package: the example that runs it unchanged, its test, and the tests' dependencies."""

SELF = Path("tests/architecture/test_words.py")
LOCKS = {"uv.lock"}
SPOKEN = [path for path in files() if path != SELF and path.name not in LOCKS]


def said(path: Path, line: str) -> str:
    """The line without what this file has to name."""
    for words, files_ in ((FORMAT, FORMAT_OF), (PACKAGE, PACKAGE_OF)):
        if files_.fullmatch(path.as_posix()):
            line = words.sub("", line)
    return line


def faults(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), start=1)
        if pattern.search(said(path, line))
    ]


@pytest.mark.parametrize("pattern", [HOSTS, MACHINE_PATHS, TOOLS], ids=["hosts", "machine paths", "tools"])
def test_no_file_names_what_is_not_the_project(pattern: re.Pattern[str]) -> None:
    assert faults(pattern, SPOKEN) == []


def test_only_tests_name_the_folder_for_temporary_files() -> None:
    assert faults(TEMPORARY, [path for path in SPOKEN if path.parts[0] != "tests"]) == []


def test_only_those_who_have_to_may_name_a_format_and_a_package() -> None:
    example, other = Path("examples/llm-chat/variants/answer_step.py"), Path("docs/streams.md")
    for allowed in ("an OpenAI-compatible endpoint", "from openai import OpenAI", "client = OpenAI(key)"):
        assert not TOOLS.search(said(example, allowed))
        assert TOOLS.search(said(other, allowed))
    for name in ("OpenAI says", "ask chatgpt", "openai.com"):
        assert TOOLS.search(said(example, name))
