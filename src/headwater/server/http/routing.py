"""Which step answers a request. Owns the routes of one generation; they never change, only get replaced.

What a path may be is `steps/project/paths.py`, precedence is `route_tree.py`. A path is split before it is
decoded, so `a%2Fb` is one segment that holds a slash. HEAD finds a GET step where no HEAD step is declared.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwater.errors import InvalidInput, RequestInvalid
from headwater.server.http.route_tree import Endpoint, Endpoints, Node, RequestPath, fold
from headwater.steps.project.declare import ApiStep
from headwater.steps.project.paths import PathPattern, parse_path

NEAR_ROUTES = 3
"""Routes named in a hint."""

LONGEST_HINTED = 200
"""Characters of a path for which near routes are looked for: comparing costs the product of the lengths."""

_BROKEN_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


class Match(NamedTuple):
    """The step of a request, and the values of its path."""

    step: ApiStep
    params: dict[str, str]


class Router:
    """The routes of one generation."""

    def __init__(self, steps: Iterable[ApiStep] = ()) -> None:
        self._steps = tuple(steps)
        self._root = Node()
        self._fixed: dict[str, Endpoints] = {}
        self._all_fixed = True
        forms = [(step, depth, form) for step in self._steps for depth, form in enumerate(_forms(step))]
        for step, _, form in sorted(forms, key=lambda one: one[1] > 0):
            endpoints = self._root.endpoints_at(form)
            endpoints.setdefault(step.method, Endpoint(step, form.names))
            texts = [segment[0] for segment in form.head]
            if form.rest or form.names or any("/" in str(text) for text in texts):
                self._all_fixed = False
            else:
                self._fixed["/" + "/".join(map(str, texts))] = endpoints

    def find(self, method: str, path: str) -> Match | None:
        """The step of a method and a path as it came in, not yet decoded; None when there is none.

        Raises RequestInvalid for a path whose percent-encoding is broken.
        """
        if "%" not in path:
            key = path.lower()
            endpoints = self._fixed.get(key[:-1] if key.endswith("/") and key != "/" else key)
            picked = _pick(endpoints, method) if endpoints else None
            if picked:
                return Match(picked.step, {})
            if self._all_fixed:
                return None
        found = self._root.find(decode_path(path), lambda endpoints: _pick(endpoints, method))
        return Match(found[0].step, dict(zip(found[0].names, found[1], strict=True))) if found else None

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods that the path has, sorted, HEAD and OPTIONS included; empty for an unknown path.

        Raises RequestInvalid for a path whose percent-encoding is broken.
        """
        methods = set[str]()

        def collect(endpoints: Endpoints) -> None:
            methods.update(endpoints)

        self._root.find(decode_path(path), collect)
        if "GET" in methods:
            methods.add("HEAD")
        return tuple(sorted(methods | {"OPTIONS"})) if methods else ()

    def near(self, path: str) -> list[str]:
        """Routes that look like the path, best first, as "METHOD /path"."""
        if len(path) > LONGEST_HINTED:
            return []
        paths = {step.path.lower(): step.path for step in self._steps}
        close = difflib.get_close_matches(path.lower(), paths, n=NEAR_ROUTES)
        near = [
            f"{step.method} {step.path}" for one in close for step in self._steps if step.path == paths[one]
        ]
        return near[:NEAR_ROUTES]


def decode_path(path: str) -> RequestPath:
    """The segments of a path as it came in.

    Raises RequestInvalid where the percent-encoding is broken or is not UTF-8.
    """
    slashed = path.endswith("/")
    inner = path[1:-1] if slashed else path[1:]
    segments = inner.split("/") if inner or (slashed and len(path) > 1) else []
    if "%" in path:
        segments = [_decoded(segment) for segment in segments]
    return RequestPath(segments, [fold(segment) for segment in segments], slashed)


def _decoded(segment: str) -> str:
    if "%" not in segment:
        return segment
    if not _BROKEN_PERCENT.search(segment):
        try:
            return unquote_to_bytes(segment).decode()
        except UnicodeDecodeError:
            pass
    raise RequestInvalid(
        f'the segment "{segment[:100]}" of the path is not valid percent-encoded UTF-8',
        hint="encode each segment with encodeURIComponent, or write %25 for a percent sign",
    )


def _pick(endpoints: Endpoints, method: str) -> Endpoint | None:
    picked = endpoints.get(method)
    return endpoints.get("GET") if picked is None and method == "HEAD" else picked


def _forms(step: ApiStep) -> tuple[PathPattern, ...]:
    """The forms of a step's path; none for one that cannot be served, which was reported at load."""
    try:
        return parse_path(step.path)
    except InvalidInput:
        return ()
