"""What the project declares and what is wrong with it, as a stream that an operator follows: what a page
shows of it moves by itself when a generation takes over.

Owns the stream's groups: `steps` (an item for each file), `streams` (each name), `problems`, and `now` with
one item `now` of the generation that serves. Only what changed is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from headwater.model import GroupKey, Write
from headwater.steps.project.declare import Project
from headwater.steps.project.described import described
from headwater.streams.catalog import StreamRules
from headwater.streams.commits import CommitQueue

PROJECT = "headwater.project"

PROJECT_STREAM = StreamRules(name=PROJECT, hidden=True, durable=False)

_Place = tuple[str, str]


class Registry:
    """Keeps the stream as the project is. `queue` is that of streams that end with the process."""

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue
        self._told: dict[_Place, bytes] = {}

    def take(self, project: Project) -> None:
        """A generation takes over."""
        now = {place: _encoded(place[1], item) for place, item in _items(project)}
        for group, name in self._told.keys() - now.keys():
            self._queue.put(Write(GroupKey(PROJECT, group), name, "delete"))
        for place, data in now.items():
            if self._told.get(place) != data:
                self._queue.put(Write(GroupKey(PROJECT, place[0]), place[1], "set", data))
        self._told = now


def _items(project: Project) -> Iterator[tuple[_Place, dict[str, Any]]]:
    told = described(project)
    for step in told["steps"]:
        yield ("steps", step["file"]), step
    for stream in told["streams"]:
        yield ("streams", stream["name"]), stream
    for problem in told["problems"]:
        yield ("problems", _name_of(problem)), problem
    generation = {"generation": project.generation, "authenticator": told["authenticator"]}
    yield ("now", "now"), generation


def _name_of(problem: dict[str, Any]) -> str:
    """The same problem keeps its name from one generation to the next, and its place in a list."""
    told = orjson.dumps([problem["code"], problem["file"], problem["message"]])
    return hashlib.sha256(told).hexdigest()[:16]


def _encoded(name: str, item: dict[str, Any]) -> bytes:
    return orjson.dumps({**item, "id": name}, default=str, option=orjson.OPT_NON_STR_KEYS)
