"""Reads what a server sends: text frames back into JSON, and a subscriber that records them."""

from __future__ import annotations

from typing import Any

import orjson


def payloads(frames: bytes) -> list[bytes]:
    """The payloads of unmasked, final text frames, one behind the other."""
    found: list[bytes] = []
    at = 0
    while at < len(frames):
        assert frames[at] == 0x81, f"no final text frame at byte {at}: {frames[at : at + 20]!r}"
        size, at = frames[at + 1], at + 2
        assert size < 128, "a server's frame is masked"
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(frames[at : at + width], "big"), at + width
        found.append(frames[at : at + size])
        at += size
    assert at == len(frames), "the last frame is cut"
    return found


def messages(frames: bytes) -> list[dict[str, Any]]:
    """The JSON messages of such frames."""
    return [orjson.loads(payload) for payload in payloads(frames)]


class Recorder:
    """A Subscriber that keeps what it is offered, and refuses while it is `full`."""

    outlet: Any = None

    def __init__(self) -> None:
        self.offers: list[bytes] = []
        self.full = False

    @property
    def is_full(self) -> bool:
        return self.full

    def offer(self, frames: bytes) -> bool:
        if self.full:
            return False
        self.offers.append(frames)
        return True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages so far, in order."""
        return messages(b"".join(self.offers))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The `event` members of all v0 messages so far."""
        return [message["event"] for message in self.messages]

    def forget(self) -> None:
        """Begin anew."""
        self.offers.clear()
