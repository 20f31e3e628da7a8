"""The root of all errors, and those of settings and of the user's project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field that broke a schema: `field` is a dotted path ("" is the whole value), `message` says why."""

    field: str
    message: str


class Limit(NamedTuple):
    """A limit that was met: the setting, as "section.key", and its value."""

    setting: str
    value: float


class HeadwaterError(Exception):
    """The root of every error that Headwater raises on purpose.

    `code` is stable, `status` is the HTTP status it maps to, `details` are plain JSON values for tools.
    """

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500

    limit: Limit | None = None
    """The limit that was met, for whoever answers the error to tell; no part of what the caller is told."""

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def at(self, setting: str, value: float) -> Self:
        """The error, which is about a limit that a setting sets."""
        self.limit = Limit(setting, value)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The error as plain JSON values: `code`, `message`, `hint` when there is one, and the details."""
        hint = {"hint": self.hint} if self.hint else {}
        return {"code": self.code, "message": self.message, **hint, **self.details}


class ConfigError(HeadwaterError):
    """A setting that cannot be used; `details` name the setting and where it was read."""

    code = "CONFIG_INVALID"


class ProjectError(HeadwaterError):
    """A fault in the user's project; `details` may carry `file` (relative to the project) and `line`."""

    code = "PROJECT_INVALID"


class FileUnloadable(ProjectError):
    """A file that ends the process that loads it, or holds it up for longer than it may; `details["file"]` is
    its path."""

    code = "FILE_UNLOADABLE"
