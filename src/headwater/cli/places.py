"""Where settings are written: `headwater.toml`, `.env`, the environment, the flags of a command.

Owns finding what each source says and where it says it. Knows no precedence and builds no settings; a key
that does not exist becomes a fault here, because only the source can say where it stands.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from headwater.cli.fields import fields, sections
from headwater.envfile import SETTINGS_PREFIX, EnvFile
from headwater.protocol.workers import messages as protocol

FILE_NAME = "headwater.toml"
RESERVED = (
    "HEADWATER_DEBUG",
    "HEADWATER_TOKEN",
    protocol.BLOCK_AFTER_VARIABLE,
    protocol.FD_VARIABLE,
    protocol.LIMIT_VARIABLE,
    protocol.STATE_DATA_VARIABLE,
)
"""Variables that are no settings: the switch for tracebacks, what the client commands use, and those that
a worker is started with."""
RESERVED_PREFIX = "HEADWATER_TEST_"

SERVICES = "auth.service_tokens"
"""The key of tables of their own."""

_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.\"'-]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+?)\s*=")
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")


class Given(NamedTuple):
    """One setting as a source gives it: the key, the value as written, and where. A `secret` value is never
    shown."""

    key: str
    raw: object
    where: str
    secret: bool = False


class Fault(NamedTuple):
    """One thing that a source says and that cannot be used: what, what to do, and where it stands."""

    setting: str
    where: str
    message: str
    hint: str = ""


class Found(NamedTuple):
    """What one source says. `services` are the tables of service tokens, with where each stands."""

    given: list[Given]
    faults: list[Fault]
    services: Mapping[str, Any] = MappingProxyType({})
    places: Mapping[str, str] = MappingProxyType({})


class Flag(NamedTuple):
    """One flag of a command: how it was written ("--port", "--set"), the key it sets, its text."""

    option: str
    key: str
    text: str


def from_file(project: Path) -> Found:
    """What the project's `headwater.toml` says; a project needs none."""
    path = project / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except FileNotFoundError:
        return Found([], [])
    except tomllib.TOMLDecodeError as error:
        return Found([], [_not_toml(error)])
    except UnicodeDecodeError:
        return Found([], [Fault("", FILE_NAME, "The file is not UTF-8 text.", "Save it as UTF-8.")])
    except OSError as error:
        return Found([], [Fault("", FILE_NAME, f"The file cannot be read: {error.strerror or error}.")])
    return _from_document(document, _lines(text))


def _not_toml(error: tomllib.TOMLDecodeError) -> Fault:
    said = str(error)
    found = _AT_LINE.search(said)
    where = f"{FILE_NAME}:{found[1]}" if found and found[1] else FILE_NAME
    message = _AT_LINE.sub("", said)
    return Fault("", where, f"The file is not valid TOML: {message}.", "A setting looks like: port = 3000")


def _lines(text: str) -> dict[str, int]:
    """The line of each "section" and "section.name", as far as a look at the starts of lines tells."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header[1].strip("\"'")
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key[1].replace('"', "").replace("'", "")
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines


def _from_document(document: Mapping[str, Any], lines: Mapping[str, int]) -> Found:
    found = Found([], [])

    def where(key: str) -> str:
        line = lines.get(key) or lines.get(key.split(".")[0])
        return f"{FILE_NAME}:{line}" if line else FILE_NAME

    for section, content in document.items():
        if not isinstance(content, dict):
            found.faults.append(unknown(section, where(section), in_file=True))
        elif section not in sections():
            found.faults.append(_unknown_section(section, where(section)))
        else:
            table = cast("dict[str, object]", content)
            for name, raw in table.items():
                key = f"{section}.{name}"
                if key == SERVICES and isinstance(raw, dict):
                    services = cast("dict[str, Any]", raw)
                    places = {f"{key}.{one}": where(f"{key}.{one}") for one in services}
                    found = found._replace(services=services, places=places)
                elif key in fields():
                    found.given.append(Given(key, raw, where(key)))
                else:
                    found.faults.append(unknown(key, where(key), in_file=True))
    return found


def from_env_file(env: EnvFile, environ: Mapping[str, str]) -> Found:
    """What the `HEADWATER_*` variables of the project's `.env` say that the environment proper lacks."""
    settings = {name: text for name, text in env.settings.items() if name not in environ}
    found = from_environment(settings)
    given = [one._replace(where=env.where(one.where), secret=True) for one in found.given]
    return Found(given, [fault._replace(where=env.where(fault.where)) for fault in found.faults])


def from_environment(environ: Mapping[str, str]) -> Found:
    """What the `HEADWATER_*` variables say. One that is neither a setting nor reserved is a fault."""
    found = Found([], [])
    by_variable = {field.variable: field.key for field in fields().values()}
    for variable, text in sorted(environ.items()):
        if variable in by_variable:
            found.given.append(Given(by_variable[variable], text, variable))
        elif variable.startswith(SETTINGS_PREFIX) and not _is_reserved(variable):
            near = get_close_matches(variable, by_variable, n=1)
            hint = f"Did you mean {near[0]}?" if near else "`headwater config` lists all settings."
            found.faults.append(Fault(variable, variable, "There is no such setting.", hint))
    return found


def _is_reserved(variable: str) -> bool:
    return variable in RESERVED or variable.startswith(RESERVED_PREFIX)


def from_flags(flags: Sequence[Flag]) -> Found:
    """What the flags of a command say."""
    found = Found([], [])
    for flag in flags:
        if flag.key in fields():
            found.given.append(Given(flag.key, flag.text, flag.option))
        else:
            found.faults.append(unknown(flag.key, flag.option))
    return found


def unknown(key: str, where: str, *, in_file: bool = False) -> Fault:
    """The fault for a key that does not exist, with the nearest one that does."""
    near = next(_nearest(key), None)
    if near is None:
        return Fault(key, where, f'There is no setting "{key}".', "`headwater config` lists all settings.")
    section, _, name = near.partition(".")
    wanted = f"{name} in [{section}]" if in_file and not key.startswith(f"{section}.") else near
    return Fault(key, where, f'There is no setting "{key}".', f"Did you mean {wanted}?")


def _nearest(key: str) -> Iterator[str]:
    """Keys like this one, best first: the same name elsewhere, then a typing error in its own section."""
    section, _, name = key.rpartition(".")
    siblings = {field.name: field.key for field in fields().values() if field.section == section}
    everywhere = {field.name: field.key for field in reversed(fields().values())}
    if name in everywhere:
        yield everywhere[name]
    yield from (siblings[near] for near in get_close_matches(name, siblings, n=1, cutoff=0.7))
    yield from get_close_matches(key, fields(), n=1, cutoff=0.7)
    yield from (everywhere[near] for near in get_close_matches(name, everywhere, n=1, cutoff=0.7))


def _unknown_section(section: str, where: str) -> Fault:
    near = get_close_matches(section, sections(), n=1)
    known = ", ".join(f"[{name}]" for name in sections())
    hint = f"Did you mean [{near[0]}]?" if near else f"The sections are {known}."
    return Fault(section, where, f"There is no section [{section}].", hint)
