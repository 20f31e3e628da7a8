"""What a program calls to write through a client: the calls, and what they make of what they are given. How
they reach the server is the client's business."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from headwater.client import given
from headwater.errors import InvalidInput


class Writing:
    """Writes of a client, which needs no subscription for them. Each is done once, also where its answer is
    lost with the connection and the client says it again.

    Of all calls: `key` is what a write repeats so as to be done once with another (one of its own where
    left out); `if_version` the version that the item must have, 0 for none, else `CONFLICT`; with `offline`
    a write waits for a connection where there is none, after those before it, and else fails with `OFFLINE`.
    Answers are the group's version.

    They raise `Refused`, whose `details["reason"]` is the server's code, `OFFLINE`, or `QUEUE_FULL` where
    more writes wait for an answer than may; and `InvalidInput` where what is given cannot travel.
    """

    async def set(
        self,
        stream: str,
        group: str,
        item: str,
        data: dict[str, Any],
        *,
        if_version: int | None = None,
        key: str | None = None,
        offline: bool = False,
    ) -> int:
        """Create or replace an item."""
        body = {"d": given.an_object(data, "data")}
        return await self._write("set", stream, group, item, body, if_version, key, offline)

    async def update(
        self,
        stream: str,
        group: str,
        item: str,
        operations: Sequence[dict[str, Any]],
        *,
        if_version: int | None = None,
        key: str | None = None,
        offline: bool = False,
    ) -> int:
        """Change an item by operations, as a step does; one that is not there is made of them."""
        body = {"ops": given.json_value(list(operations), "operations")}
        return await self._write("update", stream, group, item, body, if_version, key, offline)

    async def delete(
        self,
        stream: str,
        group: str,
        item: str,
        *,
        if_version: int | None = None,
        key: str | None = None,
        offline: bool = False,
    ) -> int:
        """Delete an item. 0 where there was none."""
        return await self._write("delete", stream, group, item, {}, if_version, key, offline)

    async def send(
        self,
        stream: str,
        group: str,
        event: dict[str, Any],
        *,
        item: str | None = None,
        offline: bool = False,
    ) -> None:
        """Send an ephemeral event, `{"type", "data"}`, to those who follow the group now, or with `item` that
        item. It is never said twice: where the connection is lost before the answer, nobody knows."""
        message = self._where("send", stream, group, item) | {"e": given.an_object(event, "event")}
        await self._ask(message, waits=offline)

    async def _write(
        self,
        kind: str,
        stream: str,
        group: str,
        item: str,
        body: dict[str, Any],
        if_version: int | None,
        key: str | None,
        waits: bool,
    ) -> int:
        message = self._where(kind, stream, group, given.name("id", item)) | body
        message["key"] = str(uuid4()) if key is None else key
        if if_version is not None:
            epoch = self._epoch()
            if if_version and not epoch:
                raise InvalidInput("This client has not been connected: it knows of no version.")
            message["if"] = {"epoch": epoch, "v": if_version} if if_version else {"v": 0}
        return await self._ask(message, waits=waits)

    @staticmethod
    def _where(kind: str, stream: str, group: str, item: str | None) -> dict[str, Any]:
        where = {"t": kind, "stream": given.name("stream", stream), "group": given.name("group", group)}
        return where if item is None else where | {"id": given.name("id", item)}

    @abstractmethod
    def _epoch(self) -> str:
        """The epoch that versions are of; empty where it is not known."""

    @abstractmethod
    async def _ask(self, message: dict[str, Any], *, waits: bool) -> int:
        """Have it done.

        :raises Refused: it was not.
        """
