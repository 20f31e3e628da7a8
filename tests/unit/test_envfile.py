"""The `.env` of a project: python-dotenv's format, the environment wins, and no value is ever told."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.envfile import MAX_BYTES, MAX_FILE_BYTES, MAX_VALUE_BYTES, EnvFile, read_env


def read(project: Path, text: str | bytes, **environ: str) -> EnvFile:
    (project / ".env").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_env(project, environ)


def test_a_project_needs_none(tmp_path: Path) -> None:
    assert read_env(tmp_path, {}) == EnvFile()


def test_the_format_is_that_of_python_dotenv(tmp_path: Path) -> None:
    text = (
        "\ufeff# a comment\n\nPLAIN=value # and why\nexport EXPORTED='single # kept'\nEMPTY=\nNOTHING\n"
        'DOUBLE="two\\nlines"\nMULTI="first\nsecond"\n\n\n  SPACED = x\r\nTWICE=1\nTWICE=2\nURL=a=b#c\n'
    )
    found = read(tmp_path, text)
    assert found.faults == ()
    assert found.values == {
        "PLAIN": "value", "EXPORTED": "single # kept", "EMPTY": "", "DOUBLE": "two\nlines",
        "MULTI": "first\nsecond", "SPACED": "x", "TWICE": "2", "URL": "a=b#c",
    }  # fmt: skip
    assert [found.where(name) for name in ("PLAIN", "EXPORTED", "MULTI", "SPACED", "TWICE", "URL")] == [
        ".env:3", ".env:4", ".env:8", ".env:12", ".env:14", ".env:15",
    ]  # fmt: skip


def test_the_environment_wins_also_inside_of_values(tmp_path: Path) -> None:
    found = read(tmp_path, "A=file\nB=${A}-${C}-${D:-default}-$A\nC=later\n", A="proper")
    assert found.values["B"] == "proper--default-$A"
    assert found.beside({"A": "proper"}) == {"B": "proper--default-$A", "C": "later"}


def test_settings_are_those_of_the_server(tmp_path: Path) -> None:
    assert read(tmp_path, "HEADWATER_SERVER_PORT=1\nOTHER=2\n").settings == {"HEADWATER_SERVER_PORT": "1"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("A=1\nB='secret\nC=3\n", 2, "cannot be read"),
        ("A=1\nB=sec\0ret\nC=3\n", 2, "B holds a NUL"),
        ("A=1\n'B=x'=secret\nC=3\n", 2, "name of the variable"),
        (f"A=1\nB={'secret' * 20_000}\nC=3\n", 2, f"B is larger than {MAX_VALUE_BYTES}"),
    ],
)
def test_a_line_that_cannot_be_used_is_left_out_alone(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    found = read(tmp_path, text)
    assert found.values == {"A": "1", "C": "3"}
    (fault,) = found.faults
    assert fault.line == line
    assert message in fault.message
    assert "secret" not in str(fault)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"A=\xff\n", "not UTF-8"), (b"A=1\n" + b"#" * MAX_FILE_BYTES, "larger than")],
)
def test_a_file_that_cannot_be_used_is_left_out(tmp_path: Path, content: bytes, message: str) -> None:
    found = read(tmp_path, content)
    assert found.values == {}
    assert [(fault.line, message in fault.message) for fault in found.faults] == [(0, True)]


def test_a_folder_of_that_name_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    (fault,) = read_env(tmp_path, {}).faults
    assert "cannot be read" in fault.message


def test_values_that_repeat_each_other_stay_bounded(tmp_path: Path) -> None:
    doubling = "A0=0123456789\n" + "".join(f"A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(60))
    found = read(tmp_path, doubling + "".join(f"B{n}=${{A10}}\n" for n in range(1000)))
    assert sum(len(name) + len(value) for name, value in found.values.items()) <= MAX_BYTES
    assert all(len(value) <= MAX_VALUE_BYTES for value in found.values.values())
    assert found.faults


def test_no_value_is_in_its_repr(tmp_path: Path) -> None:
    found = read(tmp_path, "KEY=secret\n")
    assert "KEY" in repr(found)
    assert "secret" not in repr(found)
