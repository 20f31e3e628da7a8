"""The paths of API steps, in the style of Express 4: what may be written, and what it means.

Owns the grammar and nothing else: finding the step of a request is the server's router. Supported:

- `/todos/:id`               a parameter: one segment, not empty
- `/:a-:b`, `/:name.json`    several parameters and fixed text in one segment
- `/todos/:id?`              an optional parameter at the end of its segment, with the `/` or `.` before it
- `/todos/:id(\\d+)`         a constraint on a parameter that is alone in its segment, see `constraints.py`
- `/(users|people)`          the same without a name
- `/files/*`                 the wildcard: any text, slashes included; fixed text may stand before and after
- `/files/:path(*)`, `(.*)`  the same with a name; what has no name is called "0", "1" ...
- `/files/:path*`, `:path+`  zero or more, one or more whole segments
- `\\:`                      a character taken as it is

One wildcard at most. Fixed text is compared without regard to case and percent-encoding, parameters keep both
their case and what `%2F` stands for. A slash at the end makes no difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import combinations
from urllib.parse import unquote

from headwater.errors import InvalidInput
from headwater.steps.project.constraints import compile_constraint

MOST_OPTIONAL = 4
"""Optional parameters in one path; each doubles the forms that the router holds."""

OWN_PREFIX = "/headwater"
"""Below it the server answers by itself, and no step does: neither one that asks for such a path nor a
wildcard, which would be given what is brought to the admin surface."""

_NAME = re.compile(r"[A-Za-z0-9_]+")
_ANYTHING = {"*": 0, ".*": 0, ".+": 1}
_UNSUPPORTED = frozenset("?+()[]{}^|#")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `allowed` constrains its decoded value; `optional` tells that it may be left out."""

    name: str
    allowed: re.Pattern[str] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """What matches across slashes. `least` characters must be there.

    `whole` is `:name*` and `:name+`: whole segments, without the slash at the end; where `least` is 0, their
    leading slash may be missing too. A wildcard takes every character after its slash.
    """

    name: str
    least: int = 0
    whole: bool = False


Part = str | Param | Rest
Segment = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class PathPattern:
    """One form of a path, optional parameters decided: segments from the left, a rest, segments after it.

    `prefix` and `suffix` are fixed text around the rest within its segment. Fixed text is decoded and folded.
    """

    head: tuple[Segment, ...]
    rest: Rest | None = None
    prefix: str = ""
    suffix: str = ""
    tail: tuple[Segment, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order in which they stand in the path."""
        head = [part.name for segment in self.head for part in segment if isinstance(part, Param)]
        rest = [self.rest.name] if self.rest else []
        tail = [part.name for segment in self.tail for part in segment if isinstance(part, Param)]
        return (*head, *rest, *tail)


def check_path(path: str) -> str | None:
    """What is wrong with a path, for people; None when the router can serve it."""
    try:
        forms = parse_path(path)
    except InvalidInput as fault:
        return fault.message
    if any(form.head[:1] == ((OWN_PREFIX[1:],),) for form in forms):
        return f"what lies below {OWN_PREFIX} is the server's own"
    return None


def is_own(path: str) -> bool:
    """Whether the path of a request is one that the server answers by itself."""
    return path.startswith(OWN_PREFIX) and path[len(OWN_PREFIX) : len(OWN_PREFIX) + 1] in ("", "/")


def path_shape(path: str) -> str:
    """The path with its parameters unnamed: two paths of one shape match the same requests.

    Raises InvalidInput for a path that `check_path` rejects.
    """
    return "/" + "/".join("".join(map(_shape_of_part, segment)) for segment in _segments(path))


def parse_path(path: str) -> tuple[PathPattern, ...]:
    """Every form that a path stands for, the fullest first.

    Raises InvalidInput, whose message says what is not supported and what to write instead.
    """
    segments = _segments(path)
    _check_whole(path, segments)
    optional = [i for i, segment in enumerate(segments) if _is_optional(segment)]
    left_out = (gone for size in range(len(optional) + 1) for gone in combinations(reversed(optional), size))
    return tuple(_pattern(_without(segments, frozenset(gone))) for gone in left_out)


def _segments(path: str) -> list[Segment]:
    if path == "*":
        path = "/*"
    if not path.startswith("/"):
        raise InvalidInput(f'path "{path}" does not begin with "/"')
    parts = _Scanner(path).scan()
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if len(parts) > 1 and not all(parts):
        raise InvalidInput(f'path "{path}" holds an empty segment ("//")')
    return [segment for segment in parts if segment]


class _Scanner:
    """Reads a path once, left to right, into segments of parts."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.at = 1
        self.unnamed = 0

    def scan(self) -> list[Segment]:
        segments: list[list[Part]] = [[]]
        while self.at < len(self.path):
            if self.path[self.at] == "/":
                self.at += 1
                segments.append([])
            else:
                segments[-1].append(self._part())
        return [_joined(segment, self.path) for segment in segments]

    def _part(self) -> Part:
        character = self.path[self.at]
        if character == ":":
            return self._named()
        if character == "(":
            return self._param(self._number(), self._group())
        if character == "*":
            self.at += 1
            return self._wildcard(self._number())
        return self._fixed()

    def _named(self) -> Part:
        name = _NAME.match(self.path, self.at + 1)
        if name is None:
            raise self._fault('holds ":" without a name', "write \\: for the character itself")
        self.at = name.end()
        group = self._group() if self.path[self.at : self.at + 1] == "(" else None
        return self._param(name[0], group)

    def _param(self, name: str, group: str | None) -> Part:
        if group in _ANYTHING:
            may_miss = self._take("?")
            return Rest(name, 0 if may_miss else _ANYTHING[group], whole=may_miss)
        allowed = None if group is None else self._constraint(group)
        for sign, least in (("*", 0), ("+", 1)):
            if self._take(sign):
                if allowed:
                    raise self._fault(
                        f'repeats a constrained parameter with "{sign}"', "leave out one of the two"
                    )
                return Rest(name, least, whole=True)
        return Param(name, allowed, optional=self._take("?"))

    def _wildcard(self, name: str) -> Rest:
        following = self.path[self.at : self.at + 1]
        if following and following in "?+*":
            raise self._fault(f'holds "*{following}"', 'write "/:rest*" for zero or more segments')
        if _NAME.match(self.path, self.at):
            raise self._fault('holds a name right after "*"', 'name a wildcard thus: "/:rest*"')
        return Rest(name)

    def _group(self) -> str:
        """The text of a parenthesis, which the scanner stands on; a class may hold closing ones."""
        start, depth, in_class = self.at + 1, 0, False
        while self.at < len(self.path):
            character = self.path[self.at]
            if character in "()" and not in_class:
                depth += 1 if character == "(" else -1
                if depth == 0:
                    self.at += 1
                    return self.path[start : self.at - 1]
            in_class = (in_class or character == "[") and character != "]"
            self.at += 2 if character == "\\" else 1
        raise self._fault('opens "(" and does not close it', "write \\( for the character itself")

    def _constraint(self, text: str) -> re.Pattern[str]:
        try:
            return compile_constraint(text)
        except InvalidInput as fault:
            raise self._fault(f'has the constraint "({text})", which {fault.message}', fault.hint) from None

    def _fixed(self) -> str:
        character = self.path[self.at]
        self.at += 1
        if character == "\\" and self.at < len(self.path):
            self.at += 1
            return self.path[self.at - 1]
        if character == "?" and ("=" in self.path[self.at :] or "&" in self.path[self.at :]):
            raise self._fault("holds a query", 'leave it out: every query reaches the step, as "queryParams"')
        if character in _UNSUPPORTED:
            raise self._fault(
                f'uses "{character}" as a pattern', f"write \\{character} for the character itself"
            )
        if character < " " or character == "\x7f":
            raise self._fault("holds a control character", "leave it out")
        return character

    def _number(self) -> str:
        self.unnamed += 1
        return str(self.unnamed - 1)

    def _take(self, sign: str) -> bool:
        taken = self.path.startswith(sign, self.at)
        self.at += len(sign) if taken else 0
        return taken

    def _fault(self, what: str, instead: str) -> InvalidInput:
        return InvalidInput(f'path "{self.path}" {what}: {instead}')


def _joined(parts: list[Part], path: str) -> Segment:
    """One segment with neighbouring characters joined, decoded and folded."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif not isinstance(part, str) and joined and not isinstance(joined[-1], str):
            raise InvalidInput(f'path "{path}" has two parameters side by side: put "-" or "." between them')
        else:
            joined.append(part)
    return tuple(unquote(part).lower() if isinstance(part, str) else part for part in joined)


def _check_whole(path: str, segments: list[Segment]) -> None:
    """Refuse what each part may be alone, but not together.

    Of the path: a name twice (one value would hide the other), a second wildcard (who gets how much?), so
    many optional parameters that the routes they stand for become too many. Of one segment: whatever makes it
    ambiguous where one part ends and the next begins.

    :raises InvalidInput: naming the path.
    """

    def refuse(what: str) -> InvalidInput:
        return InvalidInput(f'path "{path}" {what}')

    params = [part for segment in segments for part in segment if isinstance(part, Param)]
    rests = [part for segment in segments for part in segment if isinstance(part, Rest)]
    names = [part.name for part in (*params, *rests)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise refuse(f'names the parameter "{twice}" twice')
    if len(rests) > 1:
        raise refuse("has more than one wildcard: one is the most")
    if sum(part.optional for part in params) > MOST_OPTIONAL:
        raise refuse(f"has more than {MOST_OPTIONAL} optional parameters")
    for segment in segments:
        mine = [part for part in segment if not isinstance(part, str)]
        if any(isinstance(part, Rest) for part in mine) and len(mine) > 1:
            raise refuse("has a wildcard beside a parameter in one segment: put a slash between them")
        if any(isinstance(part, Rest) and part.whole for part in mine) and len(segment) > 1:
            raise refuse("has text beside a repeated parameter: give it a segment of its own")
        if any(isinstance(part, Param) and part.allowed for part in mine) and len(mine) > 1:
            raise refuse("constrains one of several parameters of a segment: give it a segment of its own")
        if any(isinstance(part, Param) and part.optional for part in segment[:-1]):
            raise refuse("has an optional parameter that does not end its segment")


def _is_optional(segment: Segment) -> bool:
    return isinstance(segment[-1], Param) and segment[-1].optional


def _without(segments: list[Segment], gone: frozenset[int]) -> list[Segment]:
    """The segments, some of their optional parameters left out together with the `/` or `.` before them."""
    kept: list[Segment] = []
    for i, segment in enumerate(segments):
        rest = segment[:-1] if i in gone else segment
        if i in gone and rest and isinstance(rest[-1], str):
            rest = (*rest[:-1], rest[-1].removesuffix("."))
        rest = tuple(part for part in rest if part != "")
        if rest:
            kept.append(rest)
    return kept


def _pattern(segments: list[Segment]) -> PathPattern:
    plain = [tuple(_required(part) for part in segment) for segment in segments]
    for i, segment in enumerate(plain):
        for j, part in enumerate(segment):
            if isinstance(part, Rest):
                prefix, suffix = "".join(map(str, segment[:j])), "".join(map(str, segment[j + 1 :]))
                return PathPattern(tuple(plain[:i]), part, prefix, suffix, tuple(plain[i + 1 :]))
    return PathPattern(tuple(plain))


def _required(part: Part) -> Part:
    return replace(part, optional=False) if isinstance(part, Param) and part.optional else part


def _shape_of_part(part: Part) -> str:
    if isinstance(part, str):
        return part.replace("\\", "\\\\").replace(":", "\\:").replace("*", "\\*").replace("/", "\\/")
    if isinstance(part, Rest):
        return f":*{part.least}{'w' if part.whole else ''}"
    constraint = f"({part.allowed.pattern})" if part.allowed else ""
    return f":{constraint}{'?' if part.optional else ''}"
