"""One subscription of a client, as it is asked for. Pure, no I/O; what it holds is `state.py`'s."""

from __future__ import annotations

from typing import Any

from headwater.client.state import State


class Subscription:
    """One subscription of a client. `state` is what it holds; `events` and `error` what it was told beside
    it."""

    def __init__(
        self,
        number: int,
        stream: str,
        group: str,
        item: str | None,
        limit: int | None,
        presence: dict[str, Any] | None,
    ) -> None:
        self.number = number
        self.stream = stream
        self.group = group
        self.item = item
        self.limit = limit
        self.presence = self.present = presence
        """The client's own state in the group, where it gave one: as it is meant to be, and as the server is
        known to have taken it."""
        self.state = State(item, size=limit or 0)
        self.feed: int | None = None
        self.epoch = ""
        """The epoch of the store that answers it."""
        self.error: dict[str, Any] | None = None
        """Why the server ended it; None while it lives."""

    def request(self) -> dict[str, Any]:
        """The `sub` message that asks for it from where it stands."""
        message: dict[str, Any] = {"t": "sub", "sub": self.number, "stream": self.stream, "group": self.group}
        if self.item is not None:
            message["id"] = self.item
        if self.limit is not None:
            message["limit"] = self.limit
        if self.presence is not None:
            message["state"] = self.presence
        if self.state.epoch and self.state.version:
            message["from"] = {"epoch": self.state.epoch, "v": self.state.version}
            if self.limit is not None:
                message["floor"] = self.state.floor
        return message
