"""`headwater create`: writes a new project that runs at once. Owns the copy and its refusals."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from headwater.errors import HeadwaterError, InvalidInput

TEMPLATE = Path(__file__).with_name("template")
"""The example chat of the repository; a wheel carries it here."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LEFT_OUT = shutil.ignore_patterns(".headwater", "__pycache__", "*.pyc")


def create_project(name: str, parent: Path) -> Path:
    """Write the example chat into the new folder `name` (a path from `parent`; "." is `parent` itself).

    :raises InvalidInput: the name is no usable folder name, or something is there already.
    :raises HeadwaterError: the files cannot be written.
    """
    target = _target(name, parent)
    try:
        _refuse_occupied(target, name)
        shutil.copytree(TEMPLATE, target, ignore=_LEFT_OUT, dirs_exist_ok=True)
    except OSError as error:
        raise HeadwaterError(f'"{name}" cannot be written: {error.strerror or error}.') from error
    return target


def _target(name: str, parent: Path) -> Path:
    target = (parent / Path(name).expanduser()).resolve()
    if not name.strip() or not _NAME.fullmatch(target.name):
        raise InvalidInput(
            f'"{name}" cannot be the name of a project.',
            hint="A name begins with a letter or digit; letters, digits, '.', '-' and '_' may follow.",
        )
    if not target.parent.is_dir():
        raise InvalidInput(f'The folder "{target.parent}" does not exist.', hint="Create it first.")
    return target


def _refuse_occupied(target: Path, name: str) -> None:
    if target.exists() and not target.is_dir():
        raise InvalidInput(f'"{name}" is a file.', hint="Choose another name.")
    if target.is_dir() and any(target.iterdir()):
        hint = "Choose another name, or empty the folder first; nothing was changed."
        raise InvalidInput(f'The folder "{name}" exists and is not empty.', hint=hint)
