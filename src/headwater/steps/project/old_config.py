"""`motia.config.ts` and `.js`: what the old framework was told beside its steps. Says of each key whether it
is used.

The file is never run: it opens connections and imports packages of a framework that is not there. Its keys
are read from the text, as far as an object is written there. Owns what each key means here; none is used so
far.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from headwater.steps.project.declare import Problem

NAMES = tuple(f"motia.config.{suffix}" for suffix in ("ts", "mts", "cts", "js", "mjs", "cjs"))

MAX_BYTES = 256 * 1024
"""The largest file that is looked at."""

INSTEAD: Mapping[str, str] = {
    "streamAuth": "Access functions are asked with null as their second argument: nobody is known yet. A "
    "stream whose access function needs to know who asks lets nobody in.",
    "plugins": "Plugins belong to the old Workbench and its server.",
    "app": "There is no Express application: write routes as steps, headers for all answers as middleware.",
    "redis": "Nothing needs Redis: state, streams and events are kept in the project's own store ([storage] "
    "in headwater.toml).",
    "adapters": "State, streams, events and cron are kept in the project's own store ([storage] in "
    "headwater.toml).",
}
"""The keys that the old framework knew, and what to know about each here."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)
      | (?P<name>[A-Za-z_$][\w$]*)
      | (?P<mark>\.\.\.|=>|.)""",
    re.VERBOSE | re.DOTALL,
)


class Key(NamedTuple):
    """A key of the configuration and the line that it stands in."""

    name: str
    line: int


class _Token(NamedTuple):
    text: str
    line: int


def old_config_problems(root: Path) -> list[Problem]:
    """A warning for each key of the project's `motia.config.*`. Blocks on the disk."""
    return [problem for name in NAMES for problem in _problems(root / name, name)]


def _problems(path: Path, name: str) -> Iterator[Problem]:
    try:
        text = path.read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
    except OSError:
        return
    keys = keys_of(text)
    if keys is None:
        message = "The file is not used; its keys cannot be told without running it"
        yield Problem("warning", "OLD_CONFIG", message, file=name, hint="Settings are in headwater.toml.")
    for key in keys or ():
        hint = INSTEAD.get(key.name, "The old framework had no such key either.")
        yield Problem("warning", "OLD_CONFIG", f'"{key.name}" is not used', name, key.line, hint)


def keys_of(text: str) -> list[Key] | None:
    """The keys of the object that a module exports as its default (or as `config`), in order; None where it
    writes none down."""
    tokens = list(_tokens(text))
    for start in _starts(tokens):
        opened = _object(tokens, start, 0)
        if opened is not None:
            return list(_keys(tokens, opened))
    return None


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "skip":
            yield _Token(found[0], line)
        line += found[0].count("\n")


def _starts(tokens: list[_Token]) -> Iterator[int]:
    """Where what is exported begins, the likeliest first."""
    words = [token.text for token in tokens]
    for head in (
        ["export", "default"],
        ["module", ".", "exports", "="],
        ["exports", ".", "default", "="],
        ["export", "const", "config"],
        ["exports", ".", "config", "="],
    ):
        for at in range(len(words) - len(head) + 1):
            if words[at : at + len(head)] == head:
                yield at + len(head)


def _object(tokens: list[_Token], at: int, hops: int) -> int | None:
    """Where the object begins that an expression is: written there, given to a function, or named.

    - `{`: it begins here. `:` or `=`: what is declared here comes behind the next `=`.
    - `config(`: what is given to it.
    - A name: what it was declared as.
    """
    if at >= len(tokens) or hops > 4:
        return None
    word = tokens[at].text
    if word == "{":
        return at
    if word in (":", "="):
        assigned = next((n for n in range(at, min(at + 40, len(tokens))) if tokens[n].text == "="), None)
        return None if assigned is None else _object(tokens, assigned + 1, hops + 1)
    if at + 1 < len(tokens) and tokens[at + 1].text == "(":
        return _object(tokens, at + 2, hops + 1)
    for number in range(1, len(tokens)):
        if tokens[number].text == word and tokens[number - 1].text in ("const", "let", "var"):
            return _object(tokens, number + 1, hops + 1)
    return None


def _keys(tokens: list[_Token], opened: int) -> Iterator[Key]:
    depth, fresh = 0, False
    for number in range(opened, len(tokens)):
        word, line = tokens[number]
        if word in "{[(":
            depth += 1
            fresh = depth == 1
            continue
        if word in "}])":
            depth -= 1
            if depth == 0:
                return
        elif depth == 1 and word == ",":
            fresh = True
            continue
        elif depth == 1 and fresh:
            follows = tokens[number + 1].text if number + 1 < len(tokens) else ""
            if word in ("async", "get", "...") and follows not in (":", "(", ","):
                continue
            yield Key(word.strip("'\"`"), line)
        fresh = False
