"""The service `events`: what `ctx.emit` does. Owns its method and how its members are read."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from headwater.model import Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.services.service import Method, Running, Service, Value, data_of
from headwater.work.events import Emission, Events
from headwater.work.job import Accepted

MOST_SHOWN = 100
"""Characters of a member's name that are told."""


def event_service(events: Events, emits_of: Callable[[str], tuple[str, ...]]) -> Service:
    """The method of `events`. `emits_of` answers the topics that the step of that name says it emits."""

    def emit(call: Message, origin: Origin) -> Running:
        header = call.header
        emission = Emission(
            header["topic"],
            data_of(call),
            group=header.get("group"),
            delay=header.get("delay") or 0.0,
            key=header.get("key"),
            origin=origin,
            unknown=(header.get("unknown") or "")[:MOST_SHOWN],
        )
        return events.emit(emission, emits_of(origin.step))

    return {"emit": Method(emit, _value)}


def _value(accepted: Accepted) -> Value:
    return Value(orjson.dumps({"runs": dict(accepted.runs), "repeated": accepted.repeated}))
