"""What `headwater limits` prints for people: what a server holds in memory, by kind. Owns words and order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.cli.terminal import say, table

NEAR = 0.8
"""Share of a bound from which on it is said that it is near."""

_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def show_held(held: Sequence[dict[str, Any]]) -> None:
    """Print each kind on a line, and below them what is near its bound."""
    names = ("held", "now", "at most", "setting")
    table("Memory", names, [_row(one) for one in held])
    for one in held:
        if one["now"] >= NEAR * one["limit"] > 0:
            say(f"{one['kind']}: near what [{one['setting'].replace('.', '] ')} allows.", "yellow")


def _row(one: dict[str, Any]) -> Sequence[str]:
    return one["kind"], amount(one["now"], one["unit"]), amount(one["limit"], one["unit"]), one["setting"]


def amount(number: float, unit: str) -> str:
    """A number with its unit; bytes in the largest of theirs, with three digits: "1.25 MiB"."""
    if unit == "bytes":
        for size, name in _SIZES:
            if number >= size:
                return f"{number / size:.3g} {name}"
        return f"{number:.0f} B"
    return f"{number:,.0f} {unit}"
