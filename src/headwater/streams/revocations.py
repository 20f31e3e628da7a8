"""What has been taken away: from users the tokens that they had, from everybody a token, from a user a group.

Owns how each is kept, as items of a hidden stream, and for how long. It is asked in memory, for it is asked
often. Knows no connection: whoever calls ends them.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import orjson

from headwater.clock import Clock
from headwater.errors import InvalidInput, TooMany
from headwater.model import GroupKey, Item, Origin, Write
from headwater.storage.base import Store
from headwater.streams.catalog import Catalog, StreamRules
from headwater.streams.commits import CommitQueue

REVOCATIONS = "headwater.revocations"
REVOCATIONS_STREAM = StreamRules(name=REVOCATIONS, hidden=True, history="none")

USERS = GroupKey(REVOCATIONS, "users")
TOKENS = GroupKey(REVOCATIONS, "tokens")
GROUPS = GroupKey(REVOCATIONS, "groups")

PAGE_ITEMS = 10_000
"""One read of revocations at the start."""

MOST_USER_BYTES = 1024
"""Of a user's name; longer ones are names of nobody."""

ORIGIN = Origin("revocations", "")

_FOREVER = float("inf")


class Revocations:
    """All that is revoked. `read` once at the start; what changes is kept before it holds, and holds when the
    call returns. `age`: seconds for which users and tokens stay revoked; `most` bounds all together."""

    def __init__(
        self, catalog: Catalog, store: Store, queue: CommitQueue, clock: Clock, *, age: float, most: int
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._clock = clock
        self._age = age
        self._most = most
        self._users: dict[str, tuple[float, float]] = {}
        """When each was revoked, and until when that holds."""
        self._tokens: dict[str, float] = {}
        """Digests, and until when each is revoked."""
        self._groups: dict[str, set[GroupKey]] = {}
        """What each user may have nothing to do with."""

    async def read(self) -> None:
        """Take up what the store holds.

        :raises StoreUnavailable: the store cannot be read.
        """
        async for item in self._items(USERS):
            kept = orjson.loads(item.data)
            self._users[kept["user"]] = kept["at"], kept["until"]
        async for item in self._items(TOKENS):
            self._tokens[item.id] = orjson.loads(item.data)["until"]
        async for item in self._items(GROUPS):
            kept = orjson.loads(item.data)
            self._groups.setdefault(kept["user"], set()).add(GroupKey(kept["stream"], kept["group"]))

    # --- what is asked ---

    def denies(self, stream: str, group: str, user: str | None) -> bool:
        """Whether a group has been taken away from a user; from nobody nothing can be."""
        if user is None or not self._groups:
            return False
        return GroupKey(stream, group) in self._groups.get(user, ())

    def refuses(self, user: str | None, issued: float | None, token: str | None) -> bool:
        """Whether a token is revoked: itself by its digest, or with all that its user had when that one was
        revoked. One that does not say when it was issued may have been before."""
        if token is not None and self._tokens and self._tokens.get(token, 0.0) > self._clock.now():
            return True
        if user is None or not self._users:
            return False
        at, until = self._users.get(user, (0.0, 0.0))
        return until > self._clock.now() and (issued is None or issued < at)

    # --- what is done ---

    async def revoke_user(self, user: str) -> None:
        """Refuse all tokens of a user that were issued before now.

        :raises InvalidInput: that is no name.
        :raises TooMany: as much is revoked as may be.
        :raises StoreUnavailable: it could not be kept.
        """
        _check_user(user)
        now = self._clock.now()
        self._make_room(new=user not in self._users)
        until = now + self._age
        await self._keep(USERS, _digest(user), {"user": user, "at": now, "until": until}, until)
        self._users[user] = now, until

    async def restore_user(self, user: str) -> bool:
        """Take that back; False where nothing was revoked.

        :raises InvalidInput: that is no name.
        :raises StoreUnavailable: it could not be kept.
        """
        _check_user(user)
        if user not in self._users:
            return False
        await self._forget(USERS, _digest(user))
        self._users.pop(user, None)
        return True

    async def revoke_token(self, digest: str, expires: float | None) -> None:
        """Refuse a token, by its digest, until it expires.

        :raises TooMany: as much is revoked as may be.
        :raises StoreUnavailable: it could not be kept.
        """
        self._make_room(new=digest not in self._tokens)
        until = min(self._clock.now() + self._age, _FOREVER if expires is None else expires)
        await self._keep(TOKENS, digest, {"until": until}, until)
        self._tokens[digest] = until

    async def revoke(self, stream: str, group: str, user: str) -> None:
        """Let a user have nothing to do with a group, whatever the stream's rules say, until it is restored.

        :raises UnknownStream: the project declares no such stream.
        :raises InvalidInput: that is no name.
        :raises TooMany: as much is revoked as may be.
        :raises StoreUnavailable: it could not be kept.
        """
        key = self._key(stream, group, user)
        self._make_room(new=not self.denies(stream, group, user))
        await self._keep(GROUPS, key, {"stream": stream, "group": group, "user": user}, None)
        self._groups.setdefault(user, set()).add(GroupKey(stream, group))

    async def restore(self, stream: str, group: str, user: str) -> None:
        """Leave it to the stream's rules again.

        :raises UnknownStream: the project declares no such stream.
        :raises InvalidInput: that is no name.
        :raises StoreUnavailable: it could not be kept.
        """
        key = self._key(stream, group, user)
        if not self.denies(stream, group, user):
            return
        await self._forget(GROUPS, key)
        groups = self._groups.get(user, set())
        groups.discard(GroupKey(stream, group))
        if not groups:
            self._groups.pop(user, None)

    def __len__(self) -> int:
        """How much is revoked."""
        return len(self._users) + len(self._tokens) + sum(map(len, self._groups.values()))

    # --- how it is kept ---

    def _key(self, stream: str, group: str, user: str) -> str:
        self._catalog.written(stream)
        _check_user(user)
        if not group:
            raise InvalidInput("The group id must be a non-empty text.", field="group")
        return _digest(stream, group, user)

    def _make_room(self, *, new: bool) -> None:
        """See that there is room for one more; what holds no longer makes some.

        :raises TooMany: there is none.
        """
        if not new or len(self) < self._most:
            return
        now = self._clock.now()
        self._users = {user: held for user, held in self._users.items() if held[1] > now}
        self._tokens = {token: until for token, until in self._tokens.items() if until > now}
        if len(self) >= self._most:
            raise TooMany(
                f"{self._most} users, tokens and groups are revoked, which is the limit.",
                hint="Restore what need not be revoked, or raise [auth] max_revocations.",
                limit=self._most,
            ).at("auth.max_revocations", self._most)

    async def _keep(self, group: GroupKey, key: str, members: dict[str, Any], expires: float | None) -> None:
        text = orjson.dumps({"id": key, **members})
        write = Write(group, key, "set", text, origin=ORIGIN, expires=expires, history=False)
        await self._queue.add(write)

    async def _forget(self, group: GroupKey, key: str) -> None:
        await self._queue.add(Write(group, key, "delete", origin=ORIGIN, history=False))

    async def _items(self, group: GroupKey) -> AsyncIterator[Item]:
        before: int | None = None
        while True:
            page = await self._store.window(
                group, before=before, limit=PAGE_ITEMS, limit_bytes=PAGE_ITEMS * 4096
            )
            for item in page.items:
                yield item
            if page.complete or not page.items:
                return
            before = page.items[0].created


def _digest(*names: str) -> str:
    return hashlib.sha256(orjson.dumps(names)).hexdigest()


def _check_user(user: str) -> None:
    if not user or len(user.encode("utf-8", "surrogatepass")) > MOST_USER_BYTES:
        raise InvalidInput(
            f"A user is a text of 1 to {MOST_USER_BYTES} bytes.",
            hint='It is the "user" of the context, or else its "sub".',
            field="user",
        )
