"""What an operator asks about who is here, and takes away. A method reads its arguments, and leaves the doing
to whoever knows the connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from headwater.errors import InvalidInput
from headwater.operating.messages import maybe_text_of, text_of
from headwater.operating.methods import MOST_LISTED, Entries
from headwater.operating.table import Method

Args = Mapping[str, Any]


class Revokes(Protocol):
    """Whoever knows the connections; see server/live/revoking.py."""

    async def user(self, user: str) -> int:
        """Refuse the tokens that a user has, and end its connections; how many."""
        ...

    async def restore_user(self, user: str) -> bool:
        """Take that back; False where nothing was revoked."""
        ...

    async def connection(self, number: int) -> bool:
        """End a connection, and refuse its token; False where it had none."""
        ...

    def connections(self, user: str | None) -> Iterator[dict[str, Any]]:
        """Who is here."""
        ...


def access_methods(revokes: Revokes) -> dict[str, Method]:
    """The methods about connections and revocations."""

    async def connections(args: Args) -> Entries:
        """`user`?: the open connections, at most `MOST_LISTED`: `{"id", "kind", "user", "address",
        "expires"}`."""
        for number, one in enumerate(revokes.connections(maybe_text_of(args, "user"))):
            if number >= MOST_LISTED:
                return
            yield one

    async def revoke(args: Args) -> Entries:
        """`user`: `{"ended": n}`, or `connection` (its number): `{"token": bool}`; once that is kept, and all
        has ended that is to end."""
        if args.get("user") is not None:
            yield {"ended": await revokes.user(text_of(args, "user"))}
            return
        number = args.get("connection")
        if type(number) is not int:
            raise InvalidInput("Name a user or a connection.", field="connection")
        yield {"token": await revokes.connection(number)}

    async def restore(args: Args) -> Entries:
        """`user`: `{"restored": bool}`."""
        yield {"restored": await revokes.restore_user(text_of(args, "user"))}

    return {"access.connections": connections, "access.revoke": revoke, "access.restore": restore}
