"""The two files of types in a project's folder: written, compared, kept fresh. Knows what is in neither."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headwater.cli.typegen.lifespan import python_app, typescript_app
from headwater.cli.typegen.memory import with_last_good
from headwater.cli.typegen.python import python
from headwater.cli.typegen.typescript import typescript
from headwater.errors import HeadwaterError
from headwater.steps.project.declare import Project

TYPESCRIPT = "types.d.ts"
PYTHON = "headwater_types.pyi"


def texts(project: Project, root: Path) -> Mapping[str, str]:
    """What the files should hold, by name."""
    return {
        TYPESCRIPT: typescript(project, typescript_app(root)),
        PYTHON: python(project, python_app(root)),
    }


def stale(project: Project, root: Path) -> list[str]:
    """The names of the files that hold something else, or are missing."""
    return [name for name, text in texts(project, root).items() if _held(root / name) != text]


def write(project: Project, root: Path) -> list[str]:
    """Write the files that are stale; answers their names. What a file at fault declares stays as it last
    was.

    :raises HeadwaterError: a file cannot be written.
    """
    whole = with_last_good(project, root)
    return _write(root, texts(whole, root), _but_for_what_is_forgotten(whole, root, stale(whole, root)))


def refresh(project: Project, root: Path) -> list[str]:
    """Write what is stale among the files that are there, and `types.d.ts` for a project with TypeScript.

    Answers the names written. What a file at fault declares stays as it last was.

    :raises HeadwaterError: a file cannot be written.
    """
    whole = with_last_good(project, root)
    uses_node = any(one.language == "node" for one in (*whole.steps, *whole.streams))
    names = [
        name for name in stale(whole, root) if (root / name).exists() or (name == TYPESCRIPT and uses_node)
    ]
    return _write(root, texts(whole, root), _but_for_what_is_forgotten(whole, root, names))


def _but_for_what_is_forgotten(whole: Project, root: Path, names: list[str]) -> list[str]:
    """Of these files, the ones that hold nothing which would be lost: types of a file at fault that nobody
    remembers, as in a fresh copy of the project."""
    declared = {one.file for one in (*whole.steps, *whole.streams)}
    errors = [problem for problem in whole.problems if problem.level == "error"]
    lost = {path for problem in errors for path in (problem.file, *problem.involved)} - declared
    if not lost:
        return names
    unknown = [f"/** {path} */" for path in lost if path]
    return [name for name in names if not any(mark in (_held(root / name) or "") for mark in unknown)]


def _write(root: Path, wanted: Mapping[str, str], names: list[str]) -> list[str]:
    for name in names:
        draft = root / f".{name}.{os.getpid()}"
        try:
            draft.write_text(wanted[name], encoding="utf-8")
            draft.replace(root / name)
        except OSError as error:
            raise HeadwaterError(f'"{name}" cannot be written: {error.strerror or error}.') from error
    return names


def _held(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
