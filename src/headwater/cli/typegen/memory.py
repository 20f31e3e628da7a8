"""What the files of a project declared when they last loaded, so that a file at fault keeps its types.

Owns one file in the project's `.headwater/`. It is a copy of what can be made again: where it is missing or
unreadable, nothing is remembered. Writes no types.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import orjson

from headwater.control.place import folder_of
from headwater.steps.project.declare import (
    ApiStep,
    CronStep,
    EventStep,
    NoopStep,
    Project,
    Step,
    StreamDeclaration,
)

FILE = "declared.json"

_KINDS: Mapping[str, type[Any]] = {
    kind.__name__: kind for kind in (ApiStep, EventStep, CronStep, NoopStep, StreamDeclaration)
}


def with_last_good(project: Project, root: Path) -> Project:
    """The project, with what its files at fault declared when they last loaded; what loads is remembered."""
    now = {one.file: one for one in (*project.steps, *project.streams)}
    errors = [problem for problem in project.problems if problem.level == "error"]
    lost = {path for problem in errors for path in (problem.file, *problem.involved)}
    known = _read(root) if errors or (folder_of(root) / FILE).exists() else {}
    kept = {
        file: one
        for file, one in known.items()
        if file not in now and ("" in lost or (file in lost and (root / file).is_file()))
    }
    _write(root, {**kept, **now}, known)
    taken = {one.name for one in project.streams}
    steps = [one for one in kept.values() if not isinstance(one, StreamDeclaration)]
    streams = [one for one in kept.values() if isinstance(one, StreamDeclaration) and one.name not in taken]
    return dataclasses.replace(project, steps=(*project.steps, *steps), streams=(*project.streams, *streams))


def _read(root: Path) -> dict[str, Step | StreamDeclaration]:
    try:
        found = cast("list[dict[str, Any]]", orjson.loads((folder_of(root) / FILE).read_bytes()))
        return {one["file"]: _declared(one) for one in found}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _declared(members: dict[str, Any]) -> Step | StreamDeclaration:
    kind = _KINDS[members.pop("kind")]
    if kind is ApiStep:
        responses: dict[str, Any] = members["response_schemas"]
        members["response_schemas"] = {int(status): schema for status, schema in responses.items()}
    given = {name: _frozen(value) for name, value in members.items()}
    return cast("Step | StreamDeclaration", kind(**given))


def _frozen(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def _write(root: Path, declared: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Keep it, where it is something else than before. A folder that cannot be written remembers nothing."""
    if not declared or declared == before:
        return
    entries = [{"kind": type(one).__name__, **dataclasses.asdict(one)} for one in declared.values()]
    folder = folder_of(root)
    draft = folder / f"{FILE}.new"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft.unlink(missing_ok=True)
        draft.touch(0o600)
        draft.write_bytes(orjson.dumps(entries, option=orjson.OPT_NON_STR_KEYS))
        draft.replace(folder / FILE)
    except OSError:
        return
