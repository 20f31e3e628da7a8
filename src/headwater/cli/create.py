"""`headwater create`: writes a new project that runs at once. Owns the copy and its refusals."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from headwater.errors import HeadwaterError, InvalidInput

TEMPLATE = Path(__file__).with_name("template")
"""The example chat of the repository; a wheel carries it here."""

TEMPLATE_LANGUAGES = ("python", "typescript", "mixed")
"""What the steps of a new project may be written in; the first is meant where none is said."""

_PAGE = "public"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LEFT_OUT = shutil.ignore_patterns(".headwater", ".env", "__pycache__", "*.pyc")


def create_project(name: str, parent: Path, language: str = TEMPLATE_LANGUAGES[0]) -> Path:
    """Write the example chat into the new folder `name` (a path from `parent`; "." is `parent` itself).

    :raises InvalidInput: the name is no usable folder name, something is there already, or there is no such
        `language`.
    :raises HeadwaterError: the files cannot be written.
    """
    template = _template(language)
    target = _target(name, parent)
    try:
        _refuse_occupied(target, name)
        shutil.copytree(template, target, ignore=_LEFT_OUT, dirs_exist_ok=True)
        if template != TEMPLATE and not (target / _PAGE).exists():  # a wheel holds the shared page once
            shutil.copytree(TEMPLATE / _PAGE, target / _PAGE, ignore=_LEFT_OUT)
    except OSError as error:
        raise HeadwaterError(f'"{name}" cannot be written: {error.strerror or error}.') from error
    return target


def _template(language: str) -> Path:
    if language not in TEMPLATE_LANGUAGES:
        raise InvalidInput(
            f'There is no language "{language}".', hint=f"Choose one of {', '.join(TEMPLATE_LANGUAGES)}."
        )
    return TEMPLATE if language == TEMPLATE_LANGUAGES[0] else TEMPLATE.with_name(f"template_{language}")


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
