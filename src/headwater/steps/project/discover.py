"""What workers report about a project, made into a `Project`: every config checked, every clash named.

Owns the way from entries to declarations. What a config of one type may hold is in `triggers/` and, for
streams, here; which of two files counts that declare the same is `clashes.py`'s, whether names lead somewhere
`references.py`'s. Reads no disk and runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from headwater.steps.project.authenticator import authenticator_of
from headwater.steps.project.clashes import steps_apart, streams_apart
from headwater.steps.project.declare import Problem, Project, Step, StreamDeclaration
from headwater.steps.project.references import dangling
from headwater.steps.project.shape import Fault, check, schema_fault, suggestion, topic_faults
from headwater.steps.project.sources import Sources
from headwater.steps.project.stamps import Stamps
from headwater.steps.project.stream_config import STREAM_KEYS, declare_stream, rights_of
from headwater.steps.project.triggers import TRIGGERS
from headwater.steps.project.triggers.base import Entry
from headwater.streams.catalog import VERBS, reserved

_RUNTIME_KEYS = frozenset(
    {"middleware", "canAccess", "can_access", "handler", "factory", "condition"}
    | {f"can_{verb}" for verb in VERBS}
    | {f"can{verb.title()}" for verb in VERBS}
)
"""Keys that hold functions: workers keep those, what is left of them in the JSON says nothing."""


def project_of(
    generation: int, manifest: Mapping[str, Any], sources: Sources, *, claims: bool = False
) -> Project:
    """The project that a manifest (`spec/WORKER.md`, section 7) describes. Never raises for users' faults.
    `claims`: the settings say that tokens say themselves who asks."""
    stamps = Stamps(sources)
    found = _Findings(sources, stamps)
    steps = [step for raw in _listed(manifest, "steps") if (step := found.step(_entry(raw)))]
    streams = [stream for raw in _listed(manifest, "streams") if (stream := found.stream(_entry(raw), raw))]
    found.reported(_listed(manifest, "problems"))
    steps, clashes = steps_apart(steps)
    streams, more = streams_apart(streams)
    who, doubts = authenticator_of(sources, _listed(manifest, "auth"), stamps, claims=claims)
    problems = [*sources.problems, *found.problems, *clashes, *more, *doubts]
    problems += dangling(steps, streams, problems)
    problems.sort(key=lambda one: (one.file, one.line))
    return Project(generation, tuple(steps), tuple(streams), tuple(problems), who)


def merged(manifests: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One manifest of those of several languages."""
    parts = list(manifests)
    return {
        name: [one for part in parts for one in _listed(part, name)]
        for name in ("steps", "streams", "problems", "auth")
    }


def _listed(manifest: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = manifest.get(name)
    return (
        [one for one in cast("list[Any]", value) if isinstance(one, dict)] if isinstance(value, list) else []
    )


def _entry(raw: Mapping[str, Any]) -> Entry:
    config = raw.get("config")
    return Entry(
        file=str(raw.get("file", "")),
        language=str(raw.get("language", "")),
        config=cast("dict[str, Any]", config) if isinstance(config, dict) else {},
        middleware=int(raw.get("middleware") or 0),
        line=int(raw.get("line") or 0),
        conditional=raw.get("condition") is True,
    )


class _Findings:
    """Collects problems while the entries of one manifest are looked at."""

    def __init__(self, sources: Sources, stamps: Stamps) -> None:
        self._sources = sources
        self._stamps = stamps
        self.problems: list[Problem] = []

    def step(self, entry: Entry) -> Step | None:
        """The step of an entry, or None when its config is at fault."""
        trigger = TRIGGERS.get(str(entry.config.get("type")))
        if trigger is None:
            self._note(entry, [_type_fault(entry.config.get("type"))])
            return None
        config = _without_functions(entry.config)
        of = f"{'An' if trigger.type[0] in 'ae' else 'A'} {trigger.type} step"
        faults = check(config, trigger.keys, of=of, elsewhere=_homes(trigger.type))
        wrong = self._note(entry, [*faults, *topic_faults(config), *trigger.faults(config)])
        return None if wrong else trigger.declare(entry)

    def stream(self, entry: Entry, raw: Mapping[str, Any]) -> StreamDeclaration | None:
        """The stream of an entry, or None when its config is at fault."""
        config = _without_functions(entry.config)
        faults = check(config, STREAM_KEYS, of="A stream", elsewhere={})
        taken = reserved(str(config.get("name", "")))
        if taken:
            faults.append(
                Fault("error", "name", f'"{config["name"]}" cannot be the name of a stream: {taken}')
            )
        schema = config.get("schema")
        invalid = schema_fault("schema", schema) if isinstance(schema, dict) else None
        faults += [fault for fault in (invalid, _storage_fault(config.get("baseConfig"))) if fault]
        if self._note(entry, faults):
            return None
        rights = rights_of(raw)
        asked = any(rights.of(verb) == "rule" for verb in VERBS)
        return declare_stream(entry, rights, self._stamps.of(entry.file) if asked else "")

    def reported(self, problems: Iterable[Mapping[str, Any]]) -> None:
        """Take over what the workers found themselves."""
        for raw in problems:
            involved = raw.get("involved")
            self.problems.append(
                Problem(
                    "warning" if raw.get("level") == "warning" else "error",
                    str(raw.get("code", "IMPORT_FAILED")),
                    str(raw.get("message", "")),
                    file=str(raw.get("file", "")),
                    line=int(raw.get("line") or 0),
                    hint=str(raw.get("hint") or ""),
                    traceback=str(raw.get("traceback") or ""),
                    involved=tuple(map(str, cast("list[Any]", involved)))
                    if isinstance(involved, list)
                    else (),
                )
            )

    def _note(self, entry: Entry, faults: list[Fault]) -> bool:
        """Make problems of faults; True when one of them is an error."""
        for fault in faults:
            self.problems.append(
                Problem(
                    fault.level,
                    fault.code or ("CONFIG_INVALID" if fault.level == "error" else "CONFIG_UNKNOWN_KEY"),
                    fault.message,
                    file=entry.file,
                    line=self._line(entry, fault.key),
                    hint=fault.hint,
                    involved=(entry.file,),
                )
            )
        return any(fault.level == "error" for fault in faults)

    def _line(self, entry: Entry, key: str) -> int:
        """Where a key stands in the file; where the config begins when it cannot be seen there."""
        source = self._sources.files.get(entry.file, b"").decode("utf-8", "replace")
        name = re.escape(key.rpartition(".")[2])
        lines = source.splitlines()[max(entry.line - 1, 0) :]
        written = re.compile(rf"""["']{name}["']\s*:|\b{name}\s*[:=]|\[["']{name}["']\]\s*=|^\s*{name}\s*:""")
        found = next((number for number, line in enumerate(lines) if written.search(line)), 0)
        return max(entry.line, 1) + found if lines else entry.line


def _type_fault(given: Any) -> Fault:
    allowed = ", ".join(f'"{name}"' for name in TRIGGERS)
    if given is None:
        return Fault("error", "type", f'A step needs "type": one of {allowed}')
    hint = suggestion(given, TRIGGERS) if isinstance(given, str) else ""
    return Fault("error", "type", f'"type" must be one of {allowed}, not "{given}"', hint)


def _storage_fault(base: Any) -> Fault | None:
    """What is wrong with a stream's `baseConfig`; it may be missing, and then it is the default."""
    given = cast("dict[str, Any]", base) if isinstance(base, dict) else {}
    kind = given.get("storageType", "default")
    if kind == "default":
        return None
    if kind == "custom":
        message = "Custom stores come later; this stream cannot be kept yet"
        return Fault("error", "storageType", message, 'Write "storageType": "default".')
    return Fault("error", "storageType", f'"storageType" must be "default" or "custom", not "{kind}"')


def _without_functions(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in _RUNTIME_KEYS}


def _homes(own: str) -> dict[str, str]:
    """For each key of another step type, the type that it belongs to."""
    others = [trigger for trigger in TRIGGERS.values() if trigger.type != own]
    return {name: f"{trigger.type} steps" for trigger in reversed(others) for name in trigger.keys}


def with_problems(project: Project, problems: Iterable[Problem]) -> Project:
    """The same project, showing other problems."""
    return replace(project, problems=tuple(problems))
