"""Every setting: its name, default, unit and meaning. Owns the shape; how values are found (file,
environment, flags) is `cli/settings.py`. Knows no layer above.

A setting `[section] key` of `headwater.toml` is `HEADWATER_SECTION_KEY` in the environment. What a field of a
section carries beside its default is `declaring.py`'s.
The type and name tell the unit: a float is seconds, a whole number named `*_bytes` is bytes, the other whole
numbers are counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headwater.config.access import AdminSettings, AuthSettings, ServiceToken
from headwater.config.declaring import KIB, MIB, MOMENT, setting
from headwater.config.keeping import StorageSettings, StreamSettings
from headwater.config.running import StepSettings, WorkerSettings, WorkSettings
from headwater.config.serving import ServerSettings, SocketSettings

__all__ = [
    "KIB",
    "MIB",
    "MOMENT",
    "AdminSettings",
    "AuthSettings",
    "LogSettings",
    "ServerSettings",
    "ServiceToken",
    "Settings",
    "SocketSettings",
    "StepSettings",
    "StorageSettings",
    "StreamSettings",
    "WorkSettings",
    "WorkerSettings",
]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "Least level that is printed.")
    format: Literal["pretty", "json"] = setting("pretty", "pretty for people, json for machines.")
    redact: tuple[str, ...] = setting(
        (),
        'Names of fields, beside "password", "token", "authorization" and their like, whose values the log '
        "does not show; the end of a name counts.",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one server.

    `project` is the project's folder, `dev` turns on reload and response checks. `new_epoch` says that what
    is stored is a copy, so its history begins anew.
    """

    project: Path = field(default_factory=Path)
    dev: bool = False
    new_epoch: bool = False
    server: ServerSettings = field(default_factory=ServerSettings)
    socket: SocketSettings = field(default_factory=SocketSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    streams: StreamSettings = field(default_factory=StreamSettings)
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    steps: StepSettings = field(default_factory=StepSettings)
    work: WorkSettings = field(default_factory=WorkSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    log: LogSettings = field(default_factory=LogSettings)
