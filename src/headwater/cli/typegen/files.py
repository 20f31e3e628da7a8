"""The two files of types in a project's folder: written, compared, kept fresh. Knows what is in neither."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from headwater.cli.typegen.python import python
from headwater.cli.typegen.typescript import typescript
from headwater.errors import HeadwaterError
from headwater.steps.project.declare import Project

TYPESCRIPT = "types.d.ts"
PYTHON = "headwater_types.pyi"


def texts(project: Project) -> Mapping[str, str]:
    """What the files should hold, by name."""
    return {TYPESCRIPT: typescript(project), PYTHON: python(project)}


def stale(project: Project, root: Path) -> list[str]:
    """The names of the files that hold something else, or are missing."""
    return [name for name, text in texts(project).items() if _held(root / name) != text]


def write(project: Project, root: Path) -> list[str]:
    """Write the files that are stale; answers their names.

    :raises HeadwaterError: a file cannot be written.
    """
    return _write(root, texts(project), stale(project, root))


def refresh(project: Project, root: Path) -> list[str]:
    """Write what is stale among the files that are there, and `types.d.ts` for a project with TypeScript.

    Answers the names written. A project that is at fault keeps its types: half of them would be missing.

    :raises HeadwaterError: a file cannot be written.
    """
    if any(problem.level == "error" for problem in project.problems):
        return []
    uses_node = any(one.language == "node" for one in (*project.steps, *project.streams))
    names = [
        name for name in stale(project, root) if (root / name).exists() or (name == TYPESCRIPT and uses_node)
    ]
    return _write(root, texts(project), names)


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
