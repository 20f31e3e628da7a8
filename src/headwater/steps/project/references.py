"""What declarations say of each other: an event step names the stream whose writes it runs for, and another
file has to declare that. Owns the words about names that lead nowhere; leaves nothing out for them, since the
stream may come with the next change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headwater.steps.project.declare import EventStep, Problem, Step, StreamDeclaration
from headwater.steps.project.shape import suggestion
from headwater.work.topics import STATE_TOPIC, STREAM_TOPIC

_STREAM_FILE = re.compile(r"[._]stream\.\w+\Z")


def dangling(
    steps: Sequence[Step], streams: Iterable[StreamDeclaration], problems: Iterable[Problem]
) -> list[Problem]:
    """A warning for each subscription to the writes of what nobody declares. Where the file of a stream is at
    fault, what it would declare is not known, and nothing is said."""
    if any(one.level == "error" and _STREAM_FILE.search(one.file) for one in problems):
        return []
    names = [stream.name for stream in streams]
    return [
        Problem("warning", "STREAM_UNKNOWN", message, step.file, step.line, hint, involved=(step.file,))
        for step in steps
        if isinstance(step, EventStep)
        for topic in step.subscribes
        for message, hint in _amiss(topic, names)
    ]


def _amiss(topic: str, names: Sequence[str]) -> list[tuple[str, str]]:
    if topic == STATE_TOPIC:
        return [(f'"subscribes" holds "{topic}", which names no group of the state', "")]
    name = topic.removeprefix(STREAM_TOPIC)
    if name == topic or name in names:
        return []
    hint = suggestion(name, names) or f"The project declares: {', '.join(names) or 'none'}."
    return [(f'"subscribes" holds "{topic}", and no file declares a stream "{name}"', hint)]
