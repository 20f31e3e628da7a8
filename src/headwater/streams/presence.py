"""Who is in a group now: one item for each subscription that gave a state, in the stream's sister
`NAME.presence`.

Owns how a presence comes and goes; what it goes with (a socket's end) is the caller's to notice. The items
live in the fleeting realm, so a process that ends takes its presences along.
"""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from headwater.errors import InvalidInput, TooLarge
from headwater.model import GroupKey, Write
from headwater.streams.catalog import Catalog, sister
from headwater.streams.commits import CommitQueue

ID_BYTES = 8
"""Of randomness in a presence's id: nobody can guess it, and a million of them hardly meet."""


class Presence:
    """The presences of all streams that have any."""

    def __init__(self, catalog: Catalog, queue: CommitQueue, *, max_state_bytes: int) -> None:
        self._catalog = catalog
        self._queue = queue
        self._max_state_bytes = max_state_bytes

    def enter(self, group: GroupKey, state: dict[str, Any]) -> str:
        """Somebody is there. Answers the presence's id.

        :raises InvalidInput: the stream has no presence.
        :raises TooLarge: the state is larger than it may be.
        """
        rules = self._catalog.get(group.stream)
        if rules is None or not rules.presence:
            raise InvalidInput(
                f"Stream {group.stream!r} has no presence.",
                hint='Set "presence": true in its config, or give no state.',
            )
        presence = secrets.token_hex(ID_BYTES)
        self.change(group, presence, state)
        return presence

    def change(self, group: GroupKey, presence: str, state: dict[str, Any]) -> None:
        """Replace the state of a presence.

        :raises InvalidInput: the state is nested too deeply.
        :raises TooLarge: the state is larger than it may be.
        """
        try:
            data = orjson.dumps({**state, "id": presence})
        except orjson.JSONEncodeError as fault:
            raise InvalidInput(f"The state cannot be kept: {fault}.") from None
        if len(data) > self._max_state_bytes:
            raise TooLarge(
                f"A presence's state may have {self._max_state_bytes} bytes; this has {len(data)}.",
                size=len(data),
                limit=self._max_state_bytes,
            ).at("socket.max_state_bytes", self._max_state_bytes)
        self._queue.put(Write(_sister(group), presence, "set", data))

    def leave(self, group: GroupKey, presence: str) -> None:
        """Somebody is gone."""
        self._queue.put(Write(_sister(group), presence, "delete"))


def _sister(group: GroupKey) -> GroupKey:
    return GroupKey(sister(group.stream), group.group)
