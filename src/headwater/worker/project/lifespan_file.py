"""`headwater_lifespan.py` of a project: which function it is, and how it is entered. Enters nothing."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import ModuleType
from typing import Any, NamedTuple, cast

from headwater.errors import HeadwaterError

LIFESPAN_FILE = "headwater_lifespan.py"
"""Where it lies: in the project's root."""

_HINT = "Write `@asynccontextmanager async def lifespan(): ...` with one yield."


class LifespanInvalid(HeadwaterError):
    """The file holds no function `lifespan` that can be entered."""

    code = "LIFESPAN_INVALID"


class LifespanFile(NamedTuple):
    """What the file declares. `enter` makes a context to enter once, given what a parameter gets; None where
    the file is broken, so that nothing can run."""

    enter: Callable[[Any], AbstractAsyncContextManager[Any]] | None


def lifespan_of(module: ModuleType) -> LifespanFile:
    """The file's `lifespan`.

    :raises LifespanInvalid: there is none, or it is not of a kind that can be entered.
    """
    function: Any = getattr(module, "lifespan", None)
    if not callable(function):
        said = "no function" if function is None else f"a {type(function).__name__}, not a function,"
        raise LifespanInvalid(f"The file has {said} named lifespan.", hint=_HINT)
    if inspect.iscoroutinefunction(function):
        raise LifespanInvalid("The file's lifespan has no yield.", hint=_HINT)
    make = function
    if inspect.isasyncgenfunction(function):
        make = contextlib.asynccontextmanager(function)
    elif inspect.isgeneratorfunction(function):
        make = contextlib.contextmanager(function)
    takes_one = _takes_one(function)

    def enter(given: Any) -> AbstractAsyncContextManager[Any]:
        return _entered(make(given) if takes_one else make())

    return LifespanFile(enter)


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD} for one in parameters)


@contextlib.asynccontextmanager
async def _entered(manager: Any) -> AsyncGenerator[Any]:
    """One way to enter all of them."""
    if isinstance(manager, AbstractAsyncContextManager):
        async with cast(AbstractAsyncContextManager[Any], manager) as app:
            yield app
    elif isinstance(manager, AbstractContextManager):
        with cast(AbstractContextManager[Any], manager) as app:
            yield app
    else:
        found = type(manager).__name__
        raise LifespanInvalid(f"The file's lifespan gives a {found}, which cannot be entered.", hint=_HINT)
