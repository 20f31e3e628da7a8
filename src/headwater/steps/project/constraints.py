"""Constraints of path parameters: the safe part of regular expressions.

Owns what `:id(\\d+)` may say. A path is matched for every request of every stranger, so only expressions are
taken whose cost is bounded: no nesting, at most two parts of varying length, on values of bounded length.
"""

from __future__ import annotations

import re

from headwater.errors import InvalidInput

LONGEST_VALUE = 1024
"""Characters of a value that a constraint admits. Bounds the backtracking."""

MOST_VARYING = 2
"""Parts of varying length in one alternative: two of them on the longest value take a few ms at worst."""

_HINT = "use fixed texts, classes such as [a-z], \\d or \\w, and quantifiers, without groups"
_TOKEN = re.compile(
    r"""(?P<cls>\[\^?\]?(?:\\.|[^\]\\])*\])
      | (?P<esc>\\[dDwWsS.\-_/\\|+*?()\[\]{}^$:])
      | (?P<any>\.)
      | (?P<bar>\|)
      | (?P<char>[^\\\[\](){}|.+*?^$])""",
    re.VERBOSE,
)
_SET_SIGN = re.compile(r"\\.|\[|&&|~~|--|\|\|", re.DOTALL)
"""In a class: an escaped character, or what Python reserves for operations on sets."""

_COUNT = re.compile(r"[+*?]|\{(\d{1,4})(,(\d{0,4}))?\}")


def compile_constraint(text: str) -> re.Pattern[str]:
    """The expression of a constraint, to be used with `admits`.

    Raises InvalidInput, whose message goes on after "which".
    """
    inner = text.removeprefix("^").removesuffix("$")
    if not inner:
        raise InvalidInput("is empty", hint=_HINT)
    at, varying, pieces = 0, 0, list[str]()
    while at < len(inner):
        token = _TOKEN.match(inner, at)
        if token is None:
            raise InvalidInput(f'uses "{inner[at]}" in a way that is not supported', hint=_HINT)
        at = token.end()
        if token["bar"]:
            varying = 0
            pieces.append("|")
            continue
        count = _COUNT.match(inner, at)
        varying += count is not None and _varies(count)
        if varying > MOST_VARYING:
            raise InvalidInput(f"has more than {MOST_VARYING} parts of varying length", hint=_HINT)
        at = count.end() if count else at
        pieces.append(_spelled(token) + (count[0] if count else ""))
    try:
        return re.compile("".join(pieces), re.IGNORECASE | re.ASCII)
    except (re.error, OverflowError) as fault:
        raise InvalidInput(f"is no regular expression ({fault})", hint=_HINT) from None


def admits(constraint: re.Pattern[str], value: str) -> bool:
    """Whether a parameter may have this value."""
    return len(value) <= LONGEST_VALUE and constraint.fullmatch(value) is not None


def _spelled(token: re.Match[str]) -> str:
    """A token as Python writes it: what a class or a plain character holds has no other meaning here."""
    if token["char"]:
        return re.escape(token["char"])
    if token["cls"]:
        return f"[{_SET_SIGN.sub(_escaped_twice, token['cls'][1:-1])}]"
    return token[0].replace("\\/", "/").replace("\\_", "_").replace("\\:", ":")


def _escaped_twice(sign: re.Match[str]) -> str:
    return sign[0] if sign[0][0] == "\\" else "".join(f"\\{character}" for character in sign[0])


def _varies(count: re.Match[str]) -> bool:
    """Whether a quantifier leaves the length open; `{4}` does not."""
    return count[0] in "+*?" or (count[2] is not None and count[1] != count[3])
