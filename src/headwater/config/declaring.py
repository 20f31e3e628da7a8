"""How one setting is declared: its default, what it means, what bounds it.

Owns nothing that is a setting itself.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

KIB = 1024
MIB = 1024 * KIB

MOMENT = 0.001
"""The least duration, in seconds, of settings for which 0 would mean nothing."""


def setting(
    default: Any,
    doc: str,
    *,
    least: float = 0,
    most: float | None = None,
    may_be_empty: bool = False,
    secret: bool = False,
) -> Any:
    """A field of a section. `doc` is what `headwater config` and the manual print; `least` and `most` bound a
    number (inclusive), and a text is not empty unless it `may_be_empty`. The value of a `secret` one is shown
    nowhere: no command prints it, no error quotes it, and the log blots it out."""
    bounds = {"least": least, "most": most, "may_be_empty": may_be_empty, "secret": secret}
    return field(default=default, metadata={"doc": doc, **bounds})
