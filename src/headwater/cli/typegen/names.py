"""Names for generated types: readable, valid, each used once."""

from __future__ import annotations

import re


class Names:
    """Gives out names. `taken` are those that the written file needs for itself."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = set(taken)

    def give(self, *words: str) -> str:
        """A name made of the words, in the manner of classes; with a number where it is taken."""
        base = "".join(_pascal(word) for word in words) or "Value"
        base = base if base[0].isalpha() or base[0] == "_" else f"_{base}"
        name, number = base, 2
        while name in self._taken:
            name, number = f"{base}{number}", number + 1
        self._taken.add(name)
        return name


def _pascal(word: str) -> str:
    parts = [part for part in re.split(r"[^0-9A-Za-z]+", word) if part]
    return "".join(part[0].upper() + part[1:] for part in parts)
