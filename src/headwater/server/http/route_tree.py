"""The tree of routes: one level for each segment of a path.

Owns the order of precedence, which no file order changes: at each segment, from the left, fixed text
comes first, then text mixed with parameters, a constrained parameter, a plain one, and last the wildcard.
A walk visits each node at most once, so the worst request costs as much as there are routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headwater.steps.project.constraints import admits
from headwater.steps.project.declare import ApiStep
from headwater.steps.project.paths import Param, PathPattern, Rest, Segment


class RequestPath(NamedTuple):
    """A path to be found: its segments decoded, the same folded, and whether it ends in a slash."""

    segments: Sequence[str]
    folded: Sequence[str]
    slashed: bool


class Endpoint(NamedTuple):
    """A step at the end of a path, and the names of the values found on the way."""

    step: ApiStep
    names: tuple[str, ...]


Endpoints = dict[str, Endpoint]
"""The steps of one path, by method."""

Pick = Callable[[Endpoints], Endpoint | None]
Found = tuple[Endpoint, tuple[str, ...]]


def fold(text: str) -> str:
    """The text for comparison without regard to case; always as long as the text itself."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


@dataclass(frozen=True, slots=True)
class SegmentMatcher:
    """A segment with parameters; `fixed` is the text before, between and after them."""

    fixed: tuple[str, ...]
    allowed: re.Pattern[str] | None = None

    @classmethod
    def of(cls, segment: Segment) -> SegmentMatcher:
        """The matcher of one segment of a pattern."""
        fixed, allowed = [""], None
        for part in segment:
            if isinstance(part, str):
                fixed[-1] = part
            elif isinstance(part, Param):
                fixed.append("")
                allowed = part.allowed
        return cls(tuple(fixed), allowed)

    @property
    def rank(self) -> tuple[int, bool, int, tuple[str, ...], str]:
        """Smaller goes first: more fixed text, then a constraint, then fewer parameters."""
        text = sum(map(len, self.fixed))
        return -text, self.allowed is None, len(self.fixed), self.fixed, getattr(self.allowed, "pattern", "")

    def match(self, text: str, folded: str) -> tuple[str, ...] | None:
        """The values of the parameters, each as short as it can be but not empty; None if it does not match.

        Taking the first place of each fixed text leaves the most for the rest, so no choice is ever revised.
        """
        fixed = self.fixed
        at, end = len(fixed[0]), len(text) - len(fixed[-1])
        if at >= end or not folded.startswith(fixed[0]) or not folded.endswith(fixed[-1]):
            return None
        values: list[str] = []
        for separator in fixed[1:-1]:
            place = folded.find(separator, at + 1, end)
            if place < 0:
                return None
            values.append(text[at:place])
            at = place + len(separator)
        if at >= end:
            return None
        values.append(text[at:end])
        if self.allowed and not admits(self.allowed, values[0]):
            return None
        return tuple(values)


@dataclass(frozen=True, slots=True)
class RestMatcher:
    """What a wildcard takes, and what must follow it."""

    rest: Rest
    prefix: str
    suffix: str
    tail: tuple[SegmentMatcher | str, ...]

    @property
    def rank(self) -> tuple[int, int, int, bool, str]:
        """Smaller goes first: more segments after it, then more fixed text around it, then the pickier."""
        text = len(self.prefix) + len(self.suffix)
        return -len(self.tail), -text, -self.rest.least, not self.rest.whole, self.prefix + "/" + self.suffix

    def match(self, path: RequestPath, start: int) -> tuple[str, ...] | None:
        """The rest of the path from a segment on, and the values after it; None when it does not match."""
        end = len(path.segments) - len(self.tail)
        if end < start:
            return None
        values = self._middle(path, start, end)
        for i, matcher in enumerate(self.tail):
            if values is None:
                return None
            text, folded = path.segments[end + i], path.folded[end + i]
            if isinstance(matcher, str):
                values = values if matcher == folded else None
            else:
                more = matcher.match(text, folded)
                values = None if more is None else values + more
        return values

    def _middle(self, path: RequestPath, start: int, end: int) -> tuple[str] | None:
        text, folded = "/".join(path.segments[start:end]), "/".join(path.folded[start:end])
        if self.rest.whole:
            return (text,) if text or not self.rest.least else None
        ends_path = not self.tail and path.slashed
        if start == end and not ends_path:
            return None
        if ends_path and not self.suffix and start != end:
            text, folded = text + "/", folded + "/"
        size = len(text) - len(self.prefix) - len(self.suffix)
        if size < self.rest.least or not folded.startswith(self.prefix) or not folded.endswith(self.suffix):
            return None
        return (text[len(self.prefix) : len(self.prefix) + size],) if size >= 0 else None


@dataclass(slots=True)
class Node:
    """One place in the tree. `plain` is the child behind a parameter that takes any segment."""

    endpoints: Endpoints = field(default_factory=dict[str, Endpoint])
    fixed: dict[str, Node] = field(default_factory=dict[str, "Node"])
    mixed: list[tuple[SegmentMatcher, Node]] = field(default_factory=list[tuple[SegmentMatcher, "Node"]])
    plain: Node | None = None
    rests: list[tuple[RestMatcher, Endpoints]] = field(default_factory=list[tuple[RestMatcher, Endpoints]])

    def endpoints_at(self, pattern: PathPattern) -> Endpoints:
        """The table of methods where a pattern ends, made on the way where it is missing."""
        node = self
        for segment in pattern.head:
            node = node._child(segment)
        if pattern.rest is None:
            return node.endpoints
        tail = tuple(_tail_matcher(segment) for segment in pattern.tail)
        nameless = Rest("", pattern.rest.least, pattern.rest.whole)
        matcher = RestMatcher(nameless, pattern.prefix, pattern.suffix, tail)
        for other, endpoints in node.rests:
            if other == matcher:
                return endpoints
        endpoints = Endpoints()
        node.rests.append((matcher, endpoints))
        node.rests.sort(key=lambda one: one[0].rank)
        return endpoints

    def _child(self, segment: Segment) -> Node:
        first = segment[0]
        if isinstance(first, str) and len(segment) == 1:
            return self.fixed.setdefault(first, Node())
        matcher = SegmentMatcher.of(segment)
        if matcher == _PLAIN:
            self.plain = self.plain or Node()
            return self.plain
        for other, node in self.mixed:
            if other == matcher:
                return node
        node = Node()
        self.mixed.append((matcher, node))
        self.mixed.sort(key=lambda one: one[0].rank)
        return node

    def find(self, path: RequestPath, pick: Pick, at: int = 0, values: tuple[str, ...] = ()) -> Found | None:
        """The first endpoint in order of precedence that `pick` takes from the tables that match."""
        if at == len(path.segments):
            picked = pick(self.endpoints) if self.endpoints else None
            if picked:
                return picked, values
        else:
            found = self._find_below(path, pick, at, values)
            if found:
                return found
        for matcher, endpoints in self.rests:
            more = matcher.match(path, at)
            picked = pick(endpoints) if more is not None else None
            if picked and more is not None:
                return picked, values + more
        return None

    def _find_below(self, path: RequestPath, pick: Pick, at: int, values: tuple[str, ...]) -> Found | None:
        text, folded = path.segments[at], path.folded[at]
        child = self.fixed.get(folded)
        found = child.find(path, pick, at + 1, values) if child else None
        if found:
            return found
        for matcher, child in self.mixed:
            more = matcher.match(text, folded)
            found = child.find(path, pick, at + 1, values + more) if more else None
            if found:
                return found
        return self.plain.find(path, pick, at + 1, (*values, text)) if self.plain and text else None


_PLAIN = SegmentMatcher(("", ""))


def _tail_matcher(segment: Segment) -> SegmentMatcher | str:
    first = segment[0]
    return first if isinstance(first, str) and len(segment) == 1 else SegmentMatcher.of(segment)
