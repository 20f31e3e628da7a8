"""What people see in a terminal: plain sentences, tables, errors. Owns its look and its safety.

Text of strangers (file names, messages, paths) never reaches a terminal raw: control characters are shown,
not obeyed. Without a terminal behind it, output has no colours and no width.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from headwater.errors import HeadwaterError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NO_TERMINAL_WIDTH = 10_000


def visible(text: str) -> str:
    """The text on one line; control characters, turns of direction and lone surrogates are written out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def has_colours(stream: TextIO) -> bool:
    """Whether what is written there may hold colours: a terminal that nobody asked to be plain."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _console(stream: TextIO) -> Console:
    width = None if stream.isatty() else _NO_TERMINAL_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=True, legacy_windows=False)


def out() -> Console:
    """Where answers go."""
    return _console(sys.stdout)


def err() -> Console:
    """Where errors and logs go."""
    return _console(sys.stderr)


def say(text: str = "", style: str = "") -> None:
    """Print one line."""
    out().print(Text(visible(text), style))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without borders, its columns aligned; nothing when there are no rows."""
    shown = [[visible(cell) for cell in row] for row in rows]
    if not shown:
        return
    widths = [max(map(cell_len, column)) for column in zip(columns, *shown, strict=True)]
    say(title, "bold")
    for row, style in ((columns, "dim"), *((row, "") for row in shown)):
        padded = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(padded).rstrip(), style)
    say()


def print_json(value: object) -> None:
    """Print a value for tools, in the characters that the output can take."""
    print(json.dumps(value, indent=2, ensure_ascii=not sys.stdout.encoding.lower().startswith("utf")))


def show_error(error: HeadwaterError) -> None:
    """Print an error: its code and message, each single fault, the hint."""
    err().print(Text.assemble(("error ", "bold red"), (error.code, "bold"), " ", visible(error.message)))
    faults: list[dict[str, Any]] = error.details.get("faults", [])
    for fault in faults if len(faults) > 1 else []:
        where = visible(str(fault.get("where") or fault.get("field") or ""))
        err().print(Text.assemble("  ", (where, "cyan"), ": " if where else "", visible(fault["message"])))
        if hint := fault.get("hint"):
            err().print(Text(f"    {visible(hint)}", "dim"))
    if error.hint:
        err().print(Text(f"  {visible(error.hint)}", "dim"))
