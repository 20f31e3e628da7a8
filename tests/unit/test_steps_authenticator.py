"""Which file says who asks, and when another load may answer otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headwater.envfile import EnvFile
from headwater.steps.project.authenticator import authenticator_of
from headwater.steps.project.sources import Sources

AUTH, STEP, HELPER = "headwater_auth.py", "steps/a_step.py", "tokens.py"
SOURCES = Sources({AUTH: b"a", STEP: b"b", HELPER: b"c"}, (AUTH, STEP))
FOUND = [{"file": AUTH, "language": "python", "line": 3}]


def test_the_file_in_the_root_says_who_asks() -> None:
    who, problems = authenticator_of(SOURCES, FOUND)
    assert who is not None
    assert (who.file, who.language, who.line, who.broken, problems) == (AUTH, "python", 3, "", [])


def test_one_that_no_worker_could_use_is_there_and_lets_nobody_in() -> None:
    who, _ = authenticator_of(SOURCES, [])
    assert who is not None
    assert who.broken


def test_one_that_lies_elsewhere_is_told_of() -> None:
    who, (problem,) = authenticator_of(Sources({"steps/headwater_auth.py": b"", STEP: b""}, (STEP,)), [])
    assert who is None
    assert (problem.level, problem.code, problem.file) == (
        "warning",
        "AUTH_INVALID",
        "steps/headwater_auth.py",
    )


@pytest.mark.parametrize(
    ("sources", "same"),
    [
        (replace(SOURCES, files={**SOURCES.files, STEP: b"other"}), True),
        (replace(SOURCES, files={**SOURCES.files, AUTH: b"other"}), False),
        (replace(SOURCES, files={**SOURCES.files, HELPER: b"other"}), False),
        (replace(SOURCES, files={AUTH: b"a", STEP: b"b"}), False),
        (replace(SOURCES, env=EnvFile({"KEY": "other"})), False),
    ],
)
def test_its_answers_may_change_with_itself_what_it_may_import_and_the_environment(
    sources: Sources, same: bool
) -> None:
    assert (authenticator_of(sources, FOUND) == authenticator_of(SOURCES, FOUND)) is same
