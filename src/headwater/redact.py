"""What the log never shows: secrets, by the name they go under, by the shape they have, and by their value.

Owns the list. A log is read by more people, and kept longer, than anything else that the server writes; what
steps log goes through here as well. Knows no setting: which values are secret is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

BLOT = "[secret]"

NAMES = (
    "apikey",
    "authorization",
    "authtoken",
    "accesstoken",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "secret",
    "secretkey",
    "token",
)
"""What the name of a field ends with whose value is a secret; case, `-` and `_` do not count. A number is
none under `token` (`first_token: 0.3`), and is one under the others."""

SHORTEST = 6
"""Characters that a value must have to be looked for in texts: what is shorter is everywhere."""

MOST_DEPTH = 8
"""How deep into a field's value it looks; what lies deeper is blotted out whole."""

_SHAPES = re.compile(
    r"(?P<word>\b(?:bearer|basic)[ ]+|\bheadwater\.token\.|"
    r"\b(?:auth_?token|access_?token|refresh_?token|token|api_?key|password|client_secret)=)"
    r"[^\s\"'&,;<>]{3,}|"
    r"(?P<line>\bcookie:[ ]*)[^\r\n\"']{3,}|"
    r"(?P<member>(?P<open>[\"'])[\w-]{0,40}"
    r"(?:cookie|authorization|token|api[_-]?key|secret|password|passwd|credentials?)(?P=open)"
    r"[ ]*[:=][ ]*(?P<mark>[\"']))(?:(?!(?P=mark))[^\\]|\\.){3,}|"
    r"(?P<address>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://[^\s/:@]*:)[^\s/@]+(?=@)|"
    r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?|"
    r"(?<![\w-])sk-[\w-]{16,}",
    re.IGNORECASE,
)
"""Secrets that their surroundings give away: after "Bearer", in an address (`?authToken=`, `user:password@`),
after "Cookie:", as a member of a mapping that is shown (`{'cookie': 'a=b'}`), signed tokens (RFC 7519, which
begin with `{"` in base64), keys that begin with `sk-`. Each alternative can begin only where the run of
characters that it takes begins, so a long line is read once."""


class Redaction:
    """Blots secrets out. `values` are texts that are secret wherever they stand, `names` more ends of
    names of fields."""

    def __init__(self, values: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._names = (*NAMES, *map(_plain, names))
        known = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """The text without what is secret in it."""
        if self._values is not None:
            text = self._values.sub(BLOT, text)
        return _SHAPES.sub(_blotted, text)

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields of a record, likewise; names count."""
        return {str(name): self._member(str(name), value, MOST_DEPTH) for name, value in fields.items()}

    def is_secret(self, name: str) -> bool:
        """Whether the value of a field, a header or a variable of this name is one."""
        return _plain(name).endswith(self._names)

    def _member(self, name: str, value: object, depth: int) -> object:
        """A secret name hides all but what says nothing."""
        counts = isinstance(value, int | float) and _plain(name).endswith("token")
        if self.is_secret(name) and not (counts or isinstance(value, bool | None)):
            return BLOT
        return self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool | int | float | None):
            return value
        if depth == 0:
            return BLOT
        if isinstance(value, Mapping):
            members = cast("Mapping[Any, object]", value)
            return {key: self._member(str(key), member, depth - 1) for key, member in members.items()}
        if isinstance(value, list | tuple):
            entries = cast("Iterable[object]", value)
            return [self._value(entry, depth - 1) for entry in entries]
        return self.text(str(value))


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def _blotted(found: re.Match[str]) -> str:
    return (found["word"] or found["line"] or found["member"] or found["address"] or "") + BLOT
