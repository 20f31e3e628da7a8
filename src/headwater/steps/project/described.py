"""A project in plain values, for tools: what commands print as JSON, and what an operator's pages follow.

Owns how a declaration looks there, which is part of the interface of `headwater routes --json`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from headwater.steps.project.declare import Project, Step


def kind_of(step: Step) -> str:
    """The type of a step, as its config says it."""
    return type(step).__name__.removesuffix("Step").lower()


def described(project: Project) -> dict[str, Any]:
    """`steps`, `streams`, `problems`, and as `authenticator` who says who asks, null where nobody does."""
    who = project.authenticator
    said = None if who is None else {"file": who.file, "language": who.language, "broken": who.broken}
    return {
        "steps": [{"type": kind_of(step), **dataclasses.asdict(step)} for step in project.steps],
        "streams": [_without_stamp(dataclasses.asdict(stream)) for stream in project.streams],
        "problems": [dataclasses.asdict(problem) for problem in project.problems],
        "authenticator": said,
    }


def _without_stamp(stream: dict[str, Any]) -> dict[str, Any]:
    """What a stream is, without the digest of sources and environment that tells two loads apart: nobody else
    has a use for it, and the environment holds secrets."""
    return {name: value for name, value in stream.items() if name != "stamp"}
