"""`headwater_auth.py` of a project: which function it is, what that is asked, and what its answer says. Calls
nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any, cast

from headwater.errors import HeadwaterError
from headwater.worker.values import as_dict, to_json

AUTH_FILE = "headwater_auth.py"
"""Where it lies: in the project's root."""

_HINT = "Write `async def authenticate(request): ...`, which gives a dict or None."


class AuthInvalid(HeadwaterError):
    """The file holds no function `authenticate`."""

    code = "AUTH_INVALID"


class NoContext(HeadwaterError):
    """What `authenticate` gave is no context."""

    code = "HANDLER_FAILED"


class AuthRequest(dict[str, Any]):
    """Who asks, as `authenticate` sees it: a dict whose members are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            message = f"request has no {name!r}; it has {', '.join(self)}."
            raise AttributeError(message, name=name, obj=self) from None


def authenticate_of(module: ModuleType) -> Callable[..., Any]:
    """The file's `authenticate`.

    :raises AuthInvalid: there is none.
    """
    function: Any = getattr(module, "authenticate", None)
    if callable(function):
        return function
    said = "no function" if function is None else f"a {type(function).__name__}, not a function,"
    raise AuthInvalid(f"The file has {said} named authenticate.", hint=_HINT)


def context_text(returned: Any) -> bytes | None:
    """What `authenticate` gave, as JSON text; None for nobody.

    :raises NoContext: it is no object.
    """
    if returned is None:
        return None
    plain: Any = cast(Any, returned) if isinstance(returned, Mapping) else as_dict(returned)
    if plain is None:
        found = type(cast(Any, returned)).__name__
        raise NoContext(f"authenticate gives a dict or None, not a value of type {found}")
    for name in ("exp", "iat"):
        value = plain.get(name)
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            # JSON would say null, which is a context without end.
            raise NoContext(f"authenticate gives a context whose {name} is {value}")
    return to_json(plain, "context")
