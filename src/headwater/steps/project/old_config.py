"""`motia.config.ts` and `.js`: what the old framework was told beside its steps. Says of each key whether it
is used.

Its keys are read from the text, as far as an object is written there; the file is run by workers, and only
where it has `streamAuth`: else it opens connections and imports packages of a framework that is not there.
Owns what each key means here.
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

STREAM_AUTH = "streamAuth"
"""The key whose `authenticate` says who follows streams."""

INSTEAD: Mapping[str, str] = {
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


class OldConfig(NamedTuple):
    """What a project's `motia.config.*` say: `stream_auth` is the file that says who follows streams, "" for
    none, and `problems` is a warning for each key that is not used."""

    stream_auth: str
    problems: list[Problem]


class _Token(NamedTuple):
    text: str
    line: int


def read_old_config(root: Path, instead: str = "") -> OldConfig:
    """What the project's `motia.config.*` say. `instead` is the file that says who asks in their place, if
    there is one. Blocks on the disk.

    One whose code speaks of `streamAuth` counts as having it, wherever that stands: what was meant to close
    streams is not passed by because its file is half written, or puts its keys together.
    """
    problems: list[Problem] = []
    stream_auth = ""
    for name in NAMES:
        try:
            text = (root / name).read_bytes()[:MAX_BYTES].decode("utf-8", "replace")
        except OSError:
            continue
        keys = keys_of(text)
        used = _speaks_of_it(text) and not instead and not stream_auth
        problems += _problems(name, keys, used, instead or stream_auth)
        stream_auth = name if used else stream_auth
    return OldConfig(stream_auth, problems)


def _speaks_of_it(text: str) -> bool:
    return any(token.text.strip("'\"`") == STREAM_AUTH for token in _tokens(text))


def _problems(name: str, keys: list[Key] | None, used: bool, instead: str) -> Iterator[Problem]:
    if keys is None:
        said = f'run for its "{STREAM_AUTH}"; its other keys' if used else "not used; its keys"
        message = f"The file is {said} cannot be told without running it"
        yield Problem("warning", "OLD_CONFIG", message, file=name, hint="Settings are in headwater.toml.")
    for key in keys or ():
        if key.name == STREAM_AUTH:
            if not used:
                message = f'"{key.name}" is not used: {instead} says who asks'
                hint = "Keep one of them."
                yield Problem(
                    "warning", "OLD_CONFIG", message, name, key.line, hint, involved=(name, instead)
                )
            continue
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
