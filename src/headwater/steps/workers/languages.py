"""The languages of steps: how the workers of each are started, and how many there are.

A new language is one entry here, its suffixes in `sources.py`, and a program that passes the worker suite.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headwater.config import WorkerSettings
from headwater.steps.workers.crew import Parts
from headwater.steps.workers.node import node_command


@dataclass(frozen=True, slots=True)
class Language:
    """One language. `command` may look around on the disk, and raise what makes its files unusable; `sized`
    gives the settings with the numbers of its own workers."""

    command: Callable[[WorkerSettings], Sequence[str]]
    sized: Callable[[WorkerSettings], WorkerSettings]


def python_command() -> Sequence[str]:
    """How a Python worker is started."""
    # -P: a file of the project named like a library must not shadow it inside the worker itself.
    return (sys.executable, "-P", "-m", "headwater.worker")


def _node_sizes(settings: WorkerSettings) -> WorkerSettings:
    return replace(settings, size=settings.node_size, max_size=settings.node_max_size)


LANGUAGES: Mapping[str, Language] = {
    "python": Language(lambda _settings: python_command(), lambda settings: settings),
    "node": Language(lambda settings: node_command(settings.node), _node_sizes),
}


def parts_for(language: str, parts: Parts) -> Parts:
    """What a pool of that language stands on. Blocks on the disk.

    :raises HeadwaterError: no worker of it can be started here.
    """
    known = LANGUAGES[language]
    launch = replace(parts.launch, command=known.command(parts.settings))
    return replace(parts, launch=launch, settings=known.sized(parts.settings))
