"""What `ctx.streams` takes away from users, and gives back: two methods of the service `streams`. Owns how
their members are read."""

from __future__ import annotations

from typing import Any, Protocol

from headwater.errors import InvalidInput
from headwater.model import Origin
from headwater.protocol.workers.messages import Message
from headwater.steps.services.service import Method, Running, Service


class Takes(Protocol):
    """Whoever takes a group away from a user."""

    async def group(self, stream: str, group: str, user: str) -> None:
        """Take it away, whatever the stream's rules say."""
        ...

    async def restore_group(self, stream: str, group: str, user: str) -> None:
        """Leave it to the stream's rules again."""
        ...


def revoking_service(takes: Takes) -> Service:
    """`revoke` and `restore`."""

    def revoke(call: Message, _origin: Origin) -> Running:
        return takes.group(*_whose(call))

    def restore(call: Message, _origin: Origin) -> Running:
        return takes.restore_group(*_whose(call))

    return {"revoke": Method(revoke), "restore": Method(restore)}


def _whose(call: Message) -> tuple[str, str, str]:
    header = call.header
    user: Any = header.get("user")
    if user is None:
        raise InvalidInput("The user must be a non-empty text, not None.")
    return header["stream"], header["group"], user
