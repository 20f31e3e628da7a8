"""The sources of a project at one moment: which files there are, and the bytes of those that workers import.

Owns the search on the disk: the folders skipped, the name forms of step and stream files, the limits. Knows
nothing of what the files declare (`discover.py`) and imports none of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from headwater.config import StepSettings
from headwater.steps.declare import Problem

IGNORED = frozenset({"node_modules", "venv", "__pycache__", "site-packages"})
"""Folders never entered, beside hidden ones and those that hold a virtual environment."""

LANGUAGES: Mapping[str, str] = {
    ".py": "python",
    ".ts": "node",
    ".mts": "node",
    ".js": "node",
    ".mjs": "node",
    ".cjs": "node",
}
"""Which language a file is written in, by its suffix."""

_KINDS = ("step", "stream")


@dataclass(frozen=True, slots=True)
class Sources:
    """One snapshot. Paths are relative to the project, with `/`, in path order.

    `python` holds the bytes of every Python file; `declaring` the paths of the files whose names make them
    step or stream files, of any language; `problems` what could not be read or was left out.
    """

    python: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    declaring: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def of_language(self, language: str) -> tuple[str, ...]:
        """The step and stream files of one language."""
        return tuple(path for path in self.declaring if language_of(path) == language)

    def with_files_of(self, before: Sources, paths: Iterable[str]) -> Sources:
        """The same snapshot with some Python files as they were in an earlier one."""
        back = {path: before.python[path] for path in paths if path in before.python}
        declaring = {*self.declaring, *(path for path in before.declaring if path in back)}
        python = dict(sorted({**self.python, **back}.items()))
        return Sources(python, tuple(sorted(declaring)), self.problems)

    def changed_since(self, before: Sources) -> frozenset[str]:
        """The Python files whose bytes are not those of an earlier snapshot, the deleted ones among them."""
        paths = self.python.keys() | before.python.keys()
        return frozenset(path for path in paths if self.python.get(path) != before.python.get(path))


def language_of(path: str) -> str:
    """ "python", "node", or "" for a file that no worker runs."""
    return LANGUAGES.get(PurePosixPath(path).suffix, "")


def declares(path: str, folders: Iterable[str]) -> bool:
    """Whether a file, by folder and name, declares a step or a stream."""
    stem = PurePosixPath(path).stem
    named = any(len(stem) > len(kind) + 1 and stem.endswith((f".{kind}", f"_{kind}")) for kind in _KINDS)
    return named and bool(language_of(path)) and any(_inside(path, folder) for folder in folders)


def _inside(path: str, folder: str) -> bool:
    clean = PurePosixPath(folder).as_posix().strip("/")
    return clean in ("", ".") or path.startswith(f"{clean}/")


def is_ignored(name: str) -> bool:
    """Whether a folder of this name is never entered."""
    return name in IGNORED or name.startswith(".")


def snapshot(root: Path, settings: StepSettings) -> Sources:
    """Read the project's sources. Blocks on the disk: call it in a thread.

    Never raises for what it finds: a file that cannot be read, or is one too many, becomes a problem.
    """
    paths = sorted(_walk(root))
    declaring = tuple(path for path in paths if declares(path, settings.folders))
    python, problems = _read(root, _by_need(paths, declaring), settings)
    return Sources(dict(sorted(python.items())), declaring, tuple(problems))


def _by_need(paths: list[str], declaring: tuple[str, ...]) -> list[str]:
    """The Python files, those that declare something first, so that a limit cuts the others."""
    wanted = set(declaring)
    return sorted(
        (path for path in paths if path.endswith(".py")), key=lambda path: (path not in wanted, path)
    )


def _read(root: Path, paths: list[str], settings: StepSettings) -> tuple[dict[str, bytes], list[Problem]]:
    python: dict[str, bytes] = {}
    problems: list[Problem] = []
    left_out: list[str] = []
    room = settings.max_source_bytes
    for path in paths:
        if len(python) >= settings.max_files:
            left_out.append(path)
            continue
        try:
            size = (root / path).stat().st_size
            data = (root / path).read_bytes() if size <= room else None
        except OSError as fault:
            problems.append(_unreadable(path, fault))
            continue
        if data is None or len(data) > room:
            left_out.append(path)
            continue
        room -= len(data)
        python[path] = data
    if left_out:
        problems.append(_too_much(left_out, settings))
    return python, problems


def _unreadable(path: str, fault: OSError) -> Problem:
    reason = fault.strerror or type(fault).__name__
    return Problem("error", "FILE_UNREADABLE", f"The file cannot be read: {reason}", file=path)


def _too_much(paths: list[str], settings: StepSettings) -> Problem:
    mib = settings.max_source_bytes / (1024 * 1024)
    return Problem(
        "error",
        "TOO_MANY_SOURCES",
        f"{len(paths)} Python files are left out: a project may have {settings.max_files} of them, "
        f"{mib:g} MiB together",
        file=paths[0],
        hint="Move what is no source of this project elsewhere or into a hidden folder, or raise "
        "steps.max_files and steps.max_source_bytes.",
    )


def _walk(root: Path) -> Iterator[str]:
    """Every file that may matter, relative to the root. Follows links, enters no folder twice."""
    seen: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            status = (root / folder).stat()
        except OSError:
            continue
        place = (status.st_dev, status.st_ino)
        if place in seen or (folder and any(entry.name == "pyvenv.cfg" for entry in entries)):
            continue
        seen.add(place)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                if not is_ignored(entry.name):
                    waiting.append(path)
            elif language_of(entry.name) and not entry.name.startswith("."):
                yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
