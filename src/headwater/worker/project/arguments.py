"""Whether a function of the project takes what it will be called with. Calls nothing, knows no file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Misfit(NamedTuple):
    """A function that cannot be called as it will be: what is wrong, what to write, and its line where that
    is known."""

    message: str
    hint: str
    line: int | None


def misfit(function: Callable[..., Any], what: str, given: Sequence[str]) -> Misfit | None:
    """What is wrong with a function that will get these arguments; None where it takes them, or does not say.
    A decorated one is looked at from outside, as it is called."""
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*given)
    except TypeError:
        code = getattr(function, "__code__", None)
        called, takes = ", ".join(given), ", ".join(map(str, signature.parameters.values()))
        return Misfit(
            f"{what} is called with ({called}), and takes ({takes}).",
            hint_of(what, given),
            getattr(code, "co_firstlineno", None),
        )
    return None


def hint_of(what: str, given: Sequence[str]) -> str:
    """How it is written."""
    name = what if what.isidentifier() else "function"
    return f"Write `async def {name}({', '.join(given)})`."
