"""Who may subscribe to what: asks the project's rule and fails closed. Knows no wire and no socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from headwater.errors import AccessDenied, HeadwaterError, TooMany
from headwater.model import GroupKey
from headwater.streams.catalog import Catalog

log = logging.getLogger("headwater.socket")

AskRule = Callable[[str, str, str | None, Any], Awaitable[bool]]
"""Asks the rule of a stream about a group and perhaps an item of it, for a context."""

Then = Callable[[HeadwaterError | None], None]


class Gate(Protocol):
    """Says who may subscribe to what."""

    def admit(self, group: GroupKey, item: str | None, auth: Any) -> Awaitable[bool] | None:
        """None when anybody may; else the project's own answer, to be awaited.

        :raises UnknownStream: the project declares no such stream.
        """
        ...


class StreamGate:
    """The project's answer to who may subscribe to what: open streams are open, others ask their access
    function."""

    def __init__(self, catalog: Catalog, access: AskRule) -> None:
        self._catalog = catalog
        self._access = access

    def admit(self, group: GroupKey, item: str | None, auth: Any) -> Awaitable[bool] | None:
        """See Gate. Who is there is for those who may subscribe to the whole group of the stream itself."""
        rules = self._catalog.followed(group.stream)
        if not rules.access:
            return None
        stream, item = (rules.sister_of, None) if rules.sister_of else (rules.name, item)
        return self._access(stream, group.group, item, auth)


class Admissions:
    """The questions that one client has open at the gate."""

    __slots__ = ("_auth", "_gate", "_limit", "_tasks")

    def __init__(self, gate: Gate, auth: Any, limit: int) -> None:
        self._gate = gate
        self._auth = auth
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] | None = None  # Most clients never need one.

    def ask(self, group: GroupKey, item: str | None, then: Then) -> None:
        """Ask, and call `then` with None for yes or with what stands against it: at once where no rule has to
        run."""
        try:
            self._check_open()
            answer = self._gate.admit(group, item, self._auth)
        except HeadwaterError as error:
            then(error)
            return
        if answer is None:
            then(None)
            return
        task = asyncio.get_running_loop().create_task(_ask(group, answer, then))
        self._tasks = self._tasks or set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check_open(self) -> None:
        """A question outlives a client that takes its request back, so requests alone do not bound them."""
        if len(self._tasks or ()) >= self._limit:
            raise TooMany(
                f"{self._limit} requests of this client wait for the project's access rule.",
                hint="Try again once they are answered.",
                limit=self._limit,
            )

    def close(self) -> None:
        """Take all open questions back; their `then` is not called."""
        for task in self._tasks or ():
            task.cancel()


async def _ask(group: GroupKey, answer: Awaitable[bool], then: Then) -> None:
    """Wait for the project's rule; anything but a plain yes is a no."""
    try:
        allowed = await answer
    except Exception:
        log.exception("The access rule of stream %r failed", group.stream)
        allowed = False
    then(None if allowed is True else AccessDenied("You may not subscribe to this.", stream=group.stream))
