"""What a scenario of the worker conformance suite is, and the list that they join. Knows no scenario."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from headwater.testing.worker_driver import WorkerDriver

Conversation = Callable[[WorkerDriver], None]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One behaviour: a sentence, the fixture project (empty: none is loaded), the conversation."""

    sentence: str
    project: str
    talk: Conversation
    environment: Mapping[str, str]


SCENARIOS: list[Scenario] = []


def scenario(
    sentence: str, project: str = "basic", environment: Mapping[str, str] | None = None
) -> Callable[[Conversation], Conversation]:
    """Make a scenario of a function."""

    def add(talk: Conversation) -> Conversation:
        SCENARIOS.append(Scenario(sentence, project, talk, environment or {}))
        return talk

    return add
