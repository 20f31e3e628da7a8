"""Who may do what with a stream, as its file says: a function, or True or False, for each verb. Owns the
names and that nothing is opened by mistake; calls nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from headwater.worker.kinds import ACCESS, RULES
from headwater.worker.project.schemas import ConfigNotJson

Rule = Callable[..., Any] | bool
"""A function that is asked, or the answer for everybody."""

NAMES: Mapping[str, tuple[str, str]] = {
    verb: ("can_access", "canAccess") if functions == ACCESS else (f"can_{verb}", f"can{verb.title()}")
    for verb, functions in RULES.items()
}
"""By verb, what its function may be called."""

ALL_NAMES = frozenset(name for names in NAMES.values() for name in names)


def rules_of(config: Mapping[Any, Any], module: ModuleType) -> dict[str, Rule]:
    """What a stream's file says, in its config or beside it, by verb.

    :raises ConfigNotJson: it is neither a function nor True nor False, or two different things. A stream that
        somebody meant to close is never opened.
    """
    found: dict[str, Rule] = {}
    for verb, names in NAMES.items():
        given = [(name, where) for name in names for where in (config.get(name), getattr(module, name, None))]
        for name, value in given:
            if value is None:
                continue
            if not callable(value) and not isinstance(value, bool):
                said = type(value).__name__
                raise ConfigNotJson(f"{name} is a {said}, neither a function nor True nor False.")
            if verb in found and found[verb] is not value:
                raise ConfigNotJson(f"The file says twice, and differently, what {name} is.")
            found[verb] = value
    return found


def manifest_of(rules: Mapping[str, Rule]) -> dict[str, str]:
    """The same as the manifest tells it."""
    said = {True: "open", False: "nobody"}
    return {verb: said[rule] if isinstance(rule, bool) else "rule" for verb, rule in rules.items()}
