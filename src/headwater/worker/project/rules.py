"""Who may do what with a stream, as its file says: a function, or True or False, for each verb. Owns the
names and that nothing is opened by mistake; calls nothing."""

from __future__ import annotations

import re
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


_MEANT = {
    "canread": "read",
    "cansubscribe": "read",
    "canset": "write",
    "cancreate": "write",
    "canupdate": "write",
    "canremove": "delete",
}
"""What people call a rule that has another name."""

_LIKE_A_RULE = re.compile(r"can_?\w+", re.IGNORECASE)
_SLIPS = 2
"""Letters by which a name that is meant for a rule's may differ from it."""


def misnamed(config: Mapping[Any, Any], module: ModuleType, rules: Mapping[str, Rule]) -> dict[str, str]:
    """Names in the file that are no rule's, but nearly, of functions of its own and of True and False: the
    verb of which each is meant to say who may. Only verbs of which the file says nothing: beside a rule that
    is asked, such a function may be its helper."""
    own = {name: value for name, value in vars(module).items() if _is_own(value, module)}
    given = {str(name) for name in (*config, *own) if _LIKE_A_RULE.fullmatch(str(name))}
    meant = {name: _verb_of(name) for name in sorted(given - ALL_NAMES)}
    return {name: verb for name, verb in meant.items() if verb is not None and verb not in rules}


def _is_own(value: Any, module: ModuleType) -> bool:
    return isinstance(value, bool) or (callable(value) and value.__module__ == module.__name__)


def _verb_of(name: str) -> str | None:
    folded = name.replace("_", "").lower()
    if folded in _MEANT:
        return _MEANT[folded]
    apart = {verb: _distance(folded, names[1].lower()) for verb, names in NAMES.items()}
    nearest = min(apart, key=lambda verb: apart[verb])
    return nearest if apart[nearest] <= _SLIPS else None


def _distance(one: str, other: str) -> int:
    """How many letters to add, leave out or change until one is the other."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for at, wanted in enumerate(other):
            now.append(min(before[at] + (letter != wanted), before[at + 1] + 1, now[at] + 1))
        before = now
    return before[-1]


def manifest_of(rules: Mapping[str, Rule]) -> dict[str, str]:
    """The same as the manifest tells it."""
    said = {True: "open", False: "nobody"}
    return {verb: said[rule] if isinstance(rule, bool) else "rule" for verb, rule in rules.items()}
