"""The `.env` of a project: variables for its steps and for the server's settings, in the format of python-
dotenv.

Owns reading it and what is wrong with it. Values are secrets: nothing here puts one into a message or a repr,
and whoever takes one must not either. The environment proper wins over the file, inside `${NAME}` too.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import Binding, parse_stream
from dotenv.variables import parse_variables

ENV_FILE = ".env"

SETTINGS_PREFIX = "HEADWATER_"
"""What the names of variables begin with that are settings of the server."""

MAX_FILE_BYTES = 512 * 1024
"""The largest file."""
MAX_VALUE_BYTES = 100_000
"""The largest value, and name, in UTF-8. Linux starts no program with a variable above 128 KiB."""
MAX_BYTES = 1024 * 1024
"""All variables together: `${NAME}` may repeat a value many times. Linux starts no program with more than 2
MiB."""


_NEWLINE = re.compile(r"\r\n|\n|\r")


class EnvFault(NamedTuple):
    """Something in the file that is left out: the line (0 for the whole file), why, and what to do."""

    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What one `.env` says: the variables' values, the line of each, and what could not be used."""

    values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    lines: Mapping[str, int] = field(default_factory=dict[str, int])
    faults: tuple[EnvFault, ...] = ()

    def beside(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables that this environment does not have itself."""
        return {name: value for name, value in self.values.items() if name not in environ}

    @property
    def settings(self) -> dict[str, str]:
        """The variables that are meant as settings of the server."""
        return {name: value for name, value in self.values.items() if name.startswith(SETTINGS_PREFIX)}

    def where(self, name: str) -> str:
        """Where a variable stands, as people write it: ".env:3"."""
        return f"{ENV_FILE}:{self.lines[name]}"


def read_env(project: Path, environ: Mapping[str, str] = os.environ) -> EnvFile:
    """Read the project's `.env`; a project needs none. Never raises for what it finds. Blocks on the disk."""
    try:
        with (project / ENV_FILE).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return EnvFile()
    except UnicodeDecodeError:
        return _without(EnvFault(0, "The file is not UTF-8 text.", "Save it as UTF-8."))
    except OSError as error:
        return _without(EnvFault(0, f"The file cannot be read: {error.strerror or type(error).__name__}."))
    if len(content) > MAX_FILE_BYTES:
        return _without(
            EnvFault(0, f"The file is larger than {MAX_FILE_BYTES} bytes.", "Move what is data elsewhere.")
        )
    return _Reading(environ).read(text)


def _without(fault: EnvFault) -> EnvFile:
    return EnvFile(faults=(fault,))


class _Reading:
    """Reads one file's text."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._values: dict[str, str] = {}
        self._lines: dict[str, int] = {}
        self._faults: list[EnvFault] = []
        self._room = MAX_BYTES

    def read(self, text: str) -> EnvFile:
        for binding in parse_stream(io.StringIO(text)):
            self._take(binding, _line_of(binding))
        return EnvFile(self._values, self._lines, tuple(self._faults))

    def _take(self, binding: Binding, line: int) -> None:
        """Take one statement.

        - A line that does not parse is a fault; one without a name is a comment.
        - A name without "=" says nothing, as in python-dotenv.
        - A variable that no program can be started with is a fault.
        - Of two of a name the later counts.
        """
        name = binding.key
        if binding.error:
            self._fault(line, "The line cannot be read.", 'A line looks like: NAME="value"')
        elif name is None or binding.value is None:
            return
        elif "=" in name or "\0" in name or len(name.encode()) > MAX_VALUE_BYTES:
            self._fault(line, "The name of the variable is none.", "Names have letters, digits and _.")
        elif (value := self._resolved(binding.value)) is None:
            self._fault(
                line, f"{name} is larger than {MAX_VALUE_BYTES} bytes, or the file's variables are together."
            )
        elif "\0" in value:
            self._fault(line, f"{name} holds a NUL character.", "Leave it out; no program could be given it.")
        else:
            self._room -= len(name.encode()) + len(value.encode())
            self._values[name] = value
            self._lines[name] = line

    def _resolved(self, value: str) -> str | None:
        """The value with `${NAME}` put in; None where it is too large."""
        known = {**self._values, **self._environ}
        parts: list[str] = []
        room = min(MAX_VALUE_BYTES, self._room)
        for atom in parse_variables(value):
            parts.append(atom.resolve(known))
            room -= len(parts[-1].encode("utf-8", "surrogateescape"))
            if room < 0:
                return None
        return "".join(parts)

    def _fault(self, line: int, message: str, hint: str = "") -> None:
        self._faults.append(EnvFault(line, message, hint))


def _line_of(binding: Binding) -> int:
    """The line on which a statement begins; what python-dotenv says counts from the blank lines before it."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(_NEWLINE.findall(blank))
