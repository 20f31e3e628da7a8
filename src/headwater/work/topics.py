"""Topics that are not emitted: of writes, by which a step subscribes to a stream or to a group of the state,
and of what runs by the clock. Pure."""

from __future__ import annotations

STREAM_TOPIC = "stream:"
STATE_TOPIC = "state:"
CRON_TOPIC = "cron"
"""What the jobs of cron steps have for a topic. They are no events: nobody hears of them by subscribing."""


def reserved(topic: str) -> bool:
    """Whether a topic is one of writes, which nobody emits."""
    return topic.startswith((STREAM_TOPIC, STATE_TOPIC))
