"""Which of several files counts when they declare the same: a route, a step, a stream.

Owns that choice and the words about it. What ran in the old framework runs here, so an old project with two
files of one route behaves as it did, and is told: of routes written alike the old framework ran the one that
it read first, and `chat.step.py` beside `chat_step.py` never. Two files that mean different things by one
name are an error; one is left out. Knows nothing of what else a config may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from headwater.steps.project.declare import ApiStep, Problem, Step, StreamDeclaration
from headwater.steps.project.paths import path_shape
from headwater.streams.catalog import OPEN

Declared = TypeVar("Declared", Step, StreamDeclaration)

ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "examples"})
"""Keywords of JSON Schema that say nothing about what a value may be."""

_DOTTED = re.compile(r"\.(step|stream)\.py\Z")


def steps_apart(steps: Sequence[Step]) -> tuple[list[Step], list[Problem]]:
    """The steps that count, in the order of their files, and a problem for each that does not."""
    kept, problems = _without_dotted_twins(steps, _is_same_step)
    kept, more = _one_of_equals(kept)
    kept, clashes = _first_of_each(kept, _shape, "DUPLICATE_ROUTE")
    return kept, [*problems, *more, *clashes]


def streams_apart(streams: Sequence[StreamDeclaration]) -> tuple[list[StreamDeclaration], list[Problem]]:
    """The streams that count, those that are equal as one, and a problem for each that is left out."""
    kept, problems = _without_dotted_twins(streams, lambda one, other: one.name == other.name)
    kept, more = _equal_as_one(kept)
    kept, clashes = _first_of_each(
        kept, lambda one: (one.name, f'the stream "{one.name}"'), "DUPLICATE_STREAM"
    )
    return kept, [*problems, *more, *clashes]


# --- one file, written in two ways ---


def _without_dotted_twins(
    declared: Sequence[Declared], same: Callable[[Declared, Declared], bool]
) -> tuple[list[Declared], list[Problem]]:
    """Leave out `x.step.py` where `x_step.py` beside it declares the same."""
    by_file = {one.file: one for one in declared}
    kept: list[Declared] = []
    problems: list[Problem] = []
    for one in _by_file(declared):
        twin = by_file.get(_DOTTED.sub(r"_\1.py", one.file))
        if twin is None or twin is one or not same(one, twin):
            kept.append(one)
            continue
        code = "DUPLICATE_STEP" if one.file.endswith(".step.py") else "DUPLICATE_STREAM"
        message = f"{twin.file} declares the same and is used; this file is left out"
        problems.append(
            _problem("warning", code, message, one, "Delete one of the two, or rename what it declares.")
        )
    return kept, problems


def _is_same_step(one: Step, other: Step) -> bool:
    if isinstance(one, ApiStep) and isinstance(other, ApiStep) and _shape(one) == _shape(other):
        return True
    return type(one) is type(other) and one.name == other.name


# --- routes ---


def _one_of_equals(steps: list[Step]) -> tuple[list[Step], list[Problem]]:
    """Of routes that are written alike, the one that the old framework ran."""
    first: dict[tuple[str, str], ApiStep] = {}
    for step in sorted(steps, key=lambda step: _old_order(step.file)):
        if isinstance(step, ApiStep):
            first.setdefault((step.method, step.path), step)
    kept: list[Step] = []
    problems: list[Problem] = []
    for step in steps:
        winner = first[step.method, step.path] if isinstance(step, ApiStep) else step
        if winner is step:
            kept.append(step)
        elif isinstance(step, ApiStep):
            message = (
                f"The route {step.method} {step.path} is declared in {_place(winner)} too, which answers it"
            )
            hint = "Delete one of the two, or give it another path."
            problems.append(
                _problem("warning", "DUPLICATE_ROUTE", f"{message}; this file is left out", step, hint)
            )
    return kept, problems


def _shape(step: Step) -> tuple[Hashable, str] | None:
    if not isinstance(step, ApiStep):
        return None
    return (step.method, path_shape(step.path)), f"the route {step.method} {step.path}"


def _old_order(file: str) -> tuple[Any, ...]:
    """Sorts files as the old framework read them: `steps` before `src`, names with a dot before those with an
    underline, in each folder the last name first and its files before its folders."""
    folder, *parts = file.split("/")
    dotted = ".step." in parts[-1] if parts else False
    pattern = 2 if file.endswith(".step.py") else int(not dotted)
    deep = [(part is not parts[-1], _last_first(part)) for part in parts]
    return {"steps": 0, "src": 1}.get(folder, 2), pattern, deep, file


def _last_first(name: str) -> list[int]:
    return [*(-ord(letter) for letter in name), 1]


# --- streams ---


def _equal_as_one(streams: list[StreamDeclaration]) -> tuple[list[StreamDeclaration], list[Problem]]:
    """Make streams that say the same one. Where one of them says who may do what, that one counts, and first
    the one that says who may read: a stream that somebody closed is never opened by a copy."""
    kept: dict[str, list[StreamDeclaration]] = {}
    problems: list[Problem] = []
    for stream in streams:
        same = kept.setdefault(stream.name, [])
        equal = next((number for number, one in enumerate(same) if _meaning(one) == _meaning(stream)), None)
        if equal is None:
            same.append(stream)
            continue
        holder, other = same[equal], stream
        if _says_who(stream) > _says_who(holder):
            holder, other = stream, same[equal]
        same[equal] = replace(holder, twins=(*holder.twins, *other.twins, other.file))
        if any(_says_who(holder)):
            message = (
                f'The stream "{stream.name}" has its access rules in {_place(holder)}; this file is left out'
            )
            hint = "Delete one of the two."
            problems.append(_problem("warning", "DUPLICATE_STREAM", message, other, hint))
    return _by_file([stream for same in kept.values() for stream in same]), problems


def _says_who(stream: StreamDeclaration) -> tuple[bool, bool]:
    """Whether it says who may read, and whether it says anything of who may what."""
    return stream.rights.read != OPEN.read, stream.rights != OPEN


def _meaning(stream: StreamDeclaration) -> StreamDeclaration:
    """A stream without what may differ between two that are one."""
    schema = _bare(stream.schema)
    return replace(stream, file="", language="", line=0, twins=(), stamp="", rights=OPEN, schema=schema)


def _bare(schema: Any, *, names: bool = False) -> Any:
    """A schema without annotations, its lists of names in order; `names`: the keys are no keywords."""
    if isinstance(schema, list):
        listed = [_bare(one) for one in cast("list[Any]", schema)]
        return sorted(listed) if all(isinstance(one, str) for one in listed) else listed
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema).items()
    return {
        key: _bare(value, names=not names and key in ("properties", "$defs", "definitions"))
        for key, value in members
        if names or (key not in ANNOTATIONS and not (key == "additionalProperties" and value in (True, {})))
    }


# --- what is left ---


def _first_of_each(
    declared: list[Declared], identity: Callable[[Declared], tuple[Hashable, str] | None], code: str
) -> tuple[list[Declared], list[Problem]]:
    """Leave out what clashes with an earlier file, and say so."""
    first: dict[Hashable, Declared] = {}
    kept: list[Declared] = []
    problems: list[Problem] = []
    for one in declared:
        known = identity(one)
        holder = first.setdefault(known[0], one) if known else one
        if known is None or holder is one:
            kept.append(one)
            continue
        what = f"{known[1][0].upper()}{known[1][1:]}"
        message = f"{what} is declared in {_place(holder)} already; this file is left out"
        problems.append(_problem("error", code, message, one, "Rename one of the two."))
    return kept, problems


def _by_file(declared: Iterable[Declared]) -> list[Declared]:
    return sorted(declared, key=lambda one: one.file)


def _place(one: Step | StreamDeclaration) -> str:
    return f"{one.file}:{one.line}" if one.line else one.file


def _problem(level: Any, code: str, message: str, one: Step | StreamDeclaration, hint: str) -> Problem:
    return Problem(level, code, message, file=one.file, line=one.line, hint=hint, involved=(one.file,))
