"""Topics that are not emitted but written: how a step subscribes to a stream or to a group of the state.
Pure."""

from __future__ import annotations

STREAM_TOPIC = "stream:"
STATE_TOPIC = "state:"


def reserved(topic: str) -> bool:
    """Whether a topic is one of writes, which nobody emits."""
    return topic.startswith((STREAM_TOPIC, STATE_TOPIC))
