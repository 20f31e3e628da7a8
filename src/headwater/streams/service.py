"""What steps may do with streams, by name. Owns the signatures that the layers above call."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from typing import Protocol

from headwater.model import PLAIN, Item, Origin, Terms


class StreamService(Protocol):
    """Reads and writes of streams, as steps make them.

    The three writes and `send` have *begun* when the call returns: their place in the order of commits is
    taken, whether the future is awaited or not. Nothing raises at the call; the future carries the error
    (a HeadwaterError: SchemaMismatch, InvalidInput, UnknownStream, TooLarge, Conflict, StoreUnavailable).
    A read sees what was committed before it; to see one's own writes, await them first.
    """

    def set(
        self, stream: str, group: str, item: str, data: bytes, *, terms: Terms = PLAIN, origin: Origin
    ) -> Future[Item]:
        """Create or replace an item from JSON text; answers the item as stored (with its `id` inside)."""
        ...

    def update(
        self,
        stream: str,
        group: str,
        item: str,
        operations: bytes,
        *,
        terms: Terms = PLAIN,
        origin: Origin,
    ) -> Future[Item | None]:
        """Apply a JSON list of operations atomically; answers the item after them. One that is not there is
        made of them, or with `terms.if_exists` not: then it answers None."""
        ...

    def delete(
        self, stream: str, group: str, item: str, *, terms: Terms = PLAIN, origin: Origin
    ) -> Future[Item | None]:
        """Delete an item; answers it as it was, or None when there was none (nothing is sent then)."""
        ...

    def send(
        self, stream: str, group: str, item: str | None, event: bytes, *, origin: Origin
    ) -> Future[None]:
        """Send an ephemeral event, the JSON text of `{"type", "data"}`, after the writes begun before it."""
        ...

    async def get(self, stream: str, group: str, item: str) -> Item | None:
        """One item, or None."""
        ...

    async def get_group(self, stream: str, group: str) -> Sequence[Item]:
        """All items of a group in creation order."""
        ...
