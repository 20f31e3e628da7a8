"""What a project's steps mean for work: who consumes which topics, and what runs by the clock. Runs nothing.

A queue has the name of its step, because people and the store know it by that; two steps of one name have
queues named after their files as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from headwater.config import WorkSettings
from headwater.errors import InvalidInput
from headwater.schema import JsonSchema, Schema
from headwater.steps.project.declare import CronStep, EventStep, Project
from headwater.work.consumer import Consumer, queue_name
from headwater.work.cron import CronJob

Worked = EventStep | CronStep


def queues_of(project: Project) -> Mapping[str, Worked]:
    """The steps that work is done by, by the names of their queues, in the order of their files."""
    worked = [step for step in project.steps if isinstance(step, Worked)]
    times = Counter(step.name for step in worked)
    return {step.name if times[step.name] == 1 else queue_name(step.name, step.file): step for step in worked}


def consumers_of(queues: Mapping[str, Worked], settings: WorkSettings) -> list[Consumer]:
    """Each queue's consumer: what its step says, and the settings where it says nothing."""
    return [
        _event(name, step, settings) if isinstance(step, EventStep) else _cron(name, step, settings)
        for name, step in queues.items()
    ]


def cron_jobs_of(queues: Mapping[str, Worked]) -> list[CronJob]:
    """What runs by the clock."""
    return [CronJob(name, step.cron) for name, step in queues.items() if isinstance(step, CronStep)]


def _event(name: str, step: EventStep, settings: WorkSettings) -> Consumer:
    queue: Mapping[str, Any] = step.infrastructure.get("queue") or {}
    return Consumer(
        name=name,
        file=step.file,
        topics=step.subscribes,
        retries=_whole(queue.get("maxRetries"), settings.max_retries),
        concurrency=max(_whole(queue.get("concurrency"), settings.concurrency), 1),
        fifo=queue.get("type") == "fifo",
        delay=float(queue.get("delaySeconds") or 0),
        schema=_schema(step.input_schema),
        conditional=step.conditional,
    )


def _cron(name: str, step: CronStep, settings: WorkSettings) -> Consumer:
    """A run that failed is not tried again: the next one comes by itself."""
    return Consumer(name, step.file, (), retries=0, concurrency=settings.concurrency)


def _whole(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) else otherwise


def _schema(schema: JsonSchema | None) -> Schema | None:
    """Discovery has compiled it once already, so a fault here cannot be; it would mean no check."""
    try:
        return Schema(schema) if schema else None
    except InvalidInput:
        return None
