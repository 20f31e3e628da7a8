"""What `ctx.state.get` gives: the value itself, which for `data` may answer itself. Knows no call and no
socket.

Before version 1 of the format, Python's `get` wrapped a dict without a key `data` as `{"data": dict}`. Step
files rely on that, put up with it, or expect the bare value; with such a dict all three do what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

WRAPPER = "data"


class StateDict(dict[str, Any]):
    """A dict that has no key "data" and answers `value["data"]`, `value.get("data")` and `"data" in value` as
    if it held itself there; each time, `told` is called.

    In all else it is a dict of what it holds: its keys, its length, its JSON, its equals. A copy of any kind,
    a pickle included, is a plain dict.
    """

    __slots__ = ("_told",)

    def __init__(self, value: dict[str, Any], told: Callable[[], None]) -> None:
        super().__init__(value)
        self._told = told

    def __missing__(self, key: str) -> Any:
        if key != WRAPPER:
            raise KeyError(key)
        self._told()
        return self

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key):
            return True
        if key == WRAPPER:
            self._told()
            return True
        return False

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default; of "data" where it is not there, this dict itself."""
        if key == WRAPPER and not super().__contains__(key):
            return self[WRAPPER]
        return super().get(key, default)

    def __reduce_ex__(self, _protocol: Any) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def unwrapped(value: Any, told: Callable[[], None]) -> Any:
    """A value of state as `get` gives it: where old code may ask it for `data`, it answers with itself."""
    if not isinstance(value, dict) or WRAPPER in value:
        return cast(Any, value)
    return StateDict(cast(dict[str, Any], value), told)
