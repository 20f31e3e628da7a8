"""Who consumes events: the steps of a generation that subscribe to topics, as work knows them. Pure, no
I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headwater.schema import Schema


@dataclass(frozen=True, slots=True)
class Consumer:
    """A step that consumes events. `name` names its queue, `file` is where it is declared.

    `retries` after the first try; `concurrency` runs at once; `fifo` keeps the order of each message group;
    `delay` seconds before a job's first try. `schema` is that of its input, None for anything. `conditional`:
    its file has a condition, which is asked of each write that it reacts to.
    """

    name: str
    file: str
    topics: tuple[str, ...]
    retries: int
    concurrency: int
    fifo: bool = False
    delay: float = 0.0
    schema: Schema | None = None
    conditional: bool = False


def queue_name(step: str, file: str) -> str:
    """What the queue of a step is named that shares its name with others."""
    return f"{step} ({file})"


class Consumers:
    """The consumers of one generation, by topic and by name."""

    def __init__(self, consumers: Iterable[Consumer] = ()) -> None:
        self._by_name: dict[str, Consumer] = {}
        self._by_topic: dict[str, list[Consumer]] = {}
        for one in consumers:
            self._by_name[one.name] = one
            for topic in dict.fromkeys(one.topics):
                self._by_topic.setdefault(topic, []).append(one)

    def of(self, topic: str) -> list[Consumer]:
        """Who subscribes to a topic, in the order of their files."""
        return self._by_topic.get(topic, [])

    def named(self, name: str) -> Consumer | None:
        """The consumer whose queue has that name, or None."""
        return self._by_name.get(name)

    def of_step(self, name: str) -> list[str]:
        """The queues of the steps of that name: one, named alike, or several, named after their files too."""
        if name in self._by_name:
            return [name]
        return [one.name for one in self._by_name.values() if one.name == queue_name(name, one.file)]

    @property
    def names(self) -> Iterable[str]:
        """The names of all queues that somebody consumes."""
        return self._by_name.keys()

    @property
    def topics(self) -> Iterable[str]:
        """The topics that somebody subscribes to."""
        return self._by_topic.keys()
