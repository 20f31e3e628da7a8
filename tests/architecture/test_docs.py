"""What the docs say is what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater import errors
from support.tree import ROOT, files, text

PAGES = [path for path in files() if path.suffix == ".md"]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def test_the_pages_that_the_code_tells_are_up_to_date() -> None:
    command = [sys.executable, "scripts/write_docs.py", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    lost = [link for link in LINK.findall(text(page)) if not (ROOT / page.parent / link).exists()]
    assert lost == []


def every_error(root: type[errors.HeadwaterError]) -> Iterator[type[errors.HeadwaterError]]:
    yield root
    for kind in root.__subclasses__():
        yield from every_error(kind)


def test_every_file_that_the_architecture_names_is_there() -> None:
    named = re.findall(r"`([\w./-]+(?:/|\.py|\.md|\.toml))`", text(Path("ARCHITECTURE.md")))
    homes = (ROOT, ROOT / "src" / "headwater", ROOT / "src" / "headwater" / "cli")
    assert [name for name in named if not any((home / name).exists() for home in homes)] == []


def test_every_error_has_a_code_of_its_own() -> None:
    own = [kind for kind in every_error(errors.HeadwaterError) if kind.__module__ == errors.__name__]
    codes = [kind.code for kind in own]
    assert sorted(codes) == sorted(set(codes))


CODE = re.compile(r"\"([A-Z]+(?:_[A-Z]+)+)\"")


def test_every_code_that_a_project_may_meet_is_documented() -> None:
    written = {
        code
        for path in files()
        if path.parts[:3] in {("src", "headwater", "steps"), ("src", "headwater", "worker")}
        for code in CODE.findall(text(path))
        if not code.startswith("HEADWATER_")
    }
    documented = set(
        re.findall(r"`([A-Z_]+)`", text(Path("docs/problems.md")) + text(Path("docs/errors.md")))
    )
    assert written - documented == set()
