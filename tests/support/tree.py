"""The files of the project: what is tracked, or in an unpacked archive what is there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MADE = {".venv", ".git", "node_modules", "__pycache__", ".headwater", "dist", "build", ".pytest_cache"}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, by path, relative to its root; symbolic links are left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    paths = map(Path, listed.stdout.split("\0")) if listed.returncode == 0 else _walk()
    return tuple(path for path in sorted(paths) if (ROOT / path).is_file() and not (ROOT / path).is_symlink())


def _walk() -> Iterator[Path]:
    for path in ROOT.rglob("*"):
        relative = path.relative_to(ROOT)
        if not _MADE & set(relative.parts):
            yield relative


def text(path: Path) -> str:
    """The text of one file; bytes that are no UTF-8 become replacement characters."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")
