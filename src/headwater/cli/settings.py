"""From defaults, `headwater.toml`, `.env`, the environment and flags to one `Settings`, with each value's
origin.

Owns the order of precedence (each source overrides those before it) and the report of everything that is
wrong, all at once. How one value is read is `fields.py`; what each source says is `sources.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from headwater.cli.fields import Field, Value, fields, sections
from headwater.cli.places import Fault, Flag, Given, from_env_file, from_environment, from_file, from_flags
from headwater.cli.service_tokens import read_service_tokens
from headwater.config import Settings
from headwater.envfile import EnvFile, read_env
from headwater.errors import ConfigError
from headwater.server.http.forwarded import prefix_fault, proxy_fault
from headwater.server.http.hosts import host_fault
from headwater.server.http.origins import origin_fault

__all__ = ["Flag", "LoadedSettings", "load_settings"]

DEFAULT = "default"

_NAMES = {
    "server.cors_origins": origin_fault,
    "server.allowed_hosts": host_fault,
    "server.trusted_proxies": proxy_fault,
}
"""Lists of names, and who knows what is wrong with an entry."""


class LoadedSettings(NamedTuple):
    """The settings, and where each key's value came from.

    An origin is "headwater.toml:3", ".env:3", the name of a variable, a flag or "default". `secret` are the
    keys whose values are not to be shown. `env` is what the `.env` says, `overruled` the names of those of
    its variables that the environment proper says otherwise.
    """

    settings: Settings
    origins: dict[str, str]
    secret: frozenset[str]
    env: EnvFile
    overruled: frozenset[str]

    def value(self, field: Field) -> Value:
        """The value of one setting."""
        return getattr(getattr(self.settings, field.section), field.name)


def load_settings(
    project: Path, *, environ: Mapping[str, str] = os.environ, flags: Sequence[Flag] = (), dev: bool = False
) -> LoadedSettings:
    """Find every setting of the project in this folder.

    :raises ConfigError: the folder is none, or something a source says cannot be used; `details["faults"]`
        lists every fault as `{setting, where, message, hint}`.
    """
    root = _folder(project)
    values: dict[str, Value] = {key: field.default for key, field in fields().items()}
    origins = dict.fromkeys(values, DEFAULT)
    secret: set[str] = set()
    faults: list[Fault] = []
    env = read_env(root, environ)
    sources = (from_file(root), from_env_file(env, environ), from_environment(environ), from_flags(flags))
    for source in sources:
        wrong = list(source.faults)
        for given in source.given:
            try:
                values[given.key] = fields()[given.key].read(given.raw)
                origins[given.key] = given.where
                hidden = given.secret or fields()[given.key].secret
                (secret.add if hidden else secret.discard)(given.key)
            except ValueError:
                wrong.append(_unusable(given))
        faults += sorted(wrong, key=_line)
    file = sources[0]
    variables = {**env.values, **environ}
    services, wrong = read_service_tokens(file.services, variables, lambda key: file.places[key])
    faults += [*_contradictions(values, origins), *wrong]
    if faults:
        raise _refusal(faults)
    overruled = frozenset(env.values.keys() & environ.keys())
    settings = _build(root, values, dev=dev)
    settings = replace(settings, auth=replace(settings.auth, service_tokens=services))
    return LoadedSettings(settings, origins, frozenset(secret), env, overruled)


def _folder(project: Path) -> Path:
    root = project.expanduser().resolve()
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        hint = f"`headwater create {project.name or 'NAME'}` makes a new project."
        raise ConfigError(f'"{project}" {what}.', hint=hint)
    return root


def _line(fault: Fault) -> int:
    """The line of a fault, to report a file from its top; other sources keep their order."""
    line = fault.where.rpartition(":")[2]
    return int(line) if line.isdigit() else 0


def _unusable(given: Given) -> Fault:
    field = fields()[given.key]
    hidden = given.secret or field.secret
    shown = "what it is there" if hidden else json.dumps(given.raw, ensure_ascii=False, default=str)
    return Fault(given.key, given.where, f"{given.key} cannot be {shown}.", f"It must be {field.allowed()}.")


def _contradictions(values: Mapping[str, Value], origins: Mapping[str, str]) -> list[Fault]:
    """What the type of a value does not show."""
    return [*_unusable_names(values, origins), *_too_few_workers(values, origins)]


def _unusable_names(values: Mapping[str, Value], origins: Mapping[str, str]) -> list[Fault]:
    """Entries that would never match what browsers and proxies send."""
    lists = cast("Mapping[str, tuple[str, ...]]", values)
    entries = [(key, look, entry) for key, look in _NAMES.items() for entry in lists[key]]
    entries.append(("server.root_path", prefix_fault, str(values["server.root_path"])))
    return [
        Fault(key, origins[key], f"{key}: {fault[0]}", fault[1])
        for key, look, entry in entries
        if (fault := look(entry)) is not None
    ]


def _too_few_workers(values: Mapping[str, Value], origins: Mapping[str, str]) -> list[Fault]:
    size, most = values["workers.size"], values["workers.max_size"]
    if isinstance(size, int) and isinstance(most, int) and 0 < most < size:
        hint = f"Raise it to at least {size}, or leave it out."
        where = origins["workers.max_size"]
        message = f"workers.max_size ({most}) is less than workers.size ({size})."
        return [Fault("workers.max_size", where, message, hint)]
    return []


def _refusal(faults: Sequence[Fault]) -> ConfigError:
    if len(faults) == 1:
        only = faults[0]
        return ConfigError(f"{only.where}: {only.message}", hint=only.hint, faults=[only._asdict()])
    return ConfigError(
        f"{len(faults)} settings cannot be used.", faults=[fault._asdict() for fault in faults]
    )


def _build(root: Path, values: Mapping[str, Value], *, dev: bool) -> Settings:
    parts: dict[str, Any] = {}
    for section, shape in sections().items():
        parts[section] = shape(
            **{field.name: values[field.key] for field in fields().values() if field.section == section}
        )
    return Settings(project=root, dev=dev, **parts)
