"""Where a check finds its store, and short words for what checks do with it. Owns no expectation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from headwater.errors import HeadwaterError
from headwater.model import Change, GroupKey, Item, Unit, Write
from headwater.storage.base import Committed, Outcome, Page, Repeated, Store, UnitOutcome

G = GroupKey("room", "general")
"""The group that checks use unless they say otherwise."""

START_MS = 1_700_000_000_000.0
"""The stamp of a place's first commit; each later one is a millisecond on."""

WIDE = 1 << 30
"""A page limit that nothing in the suite reaches."""


class Place:
    """A place where one store lives. Closed or not, at most one is open at a time."""

    def __init__(self, open_store: Callable[[], Awaitable[Store]]) -> None:
        self._open = open_store
        self._stamp = START_MS
        self._store: Store | None = None

    async def store(self) -> Store:
        """The open store, opening it first if need be."""
        if self._store is None:
            self._store = await self._open()
        return self._store

    async def close(self) -> None:
        """Close the store, if it is open; the next `store` opens it again."""
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    @property
    def stamp(self) -> float:
        """The stamp of the last commit, in ms."""
        return self._stamp

    def pass_time(self, seconds: float) -> None:
        """Let the next commit's stamp be that much later."""
        self._stamp += seconds * 1000.0

    async def commit(self, *writes: Write) -> list[Outcome]:
        """Commit one batch, one millisecond after the last."""
        outcomes = await self.commit_units(*writes)
        return [outcome for outcome in outcomes if not isinstance(outcome, Committed)]

    async def commit_units(self, *units: Write | Unit) -> list[UnitOutcome]:
        """Commit one batch of units, one millisecond after the last."""
        self._stamp += 1.0
        return list(await (await self.store()).commit(units, stamp=self._stamp))

    async def unit(self, *writes: Write, key: str | None = None, settles: Sequence[int] = ()) -> Committed:
        """Commit one unit that must not be rejected."""
        (outcome,) = await self.commit_units(Unit(writes, key=key, settles=settles))
        assert isinstance(outcome, Committed), outcome
        return outcome

    async def reject_unit(self, *writes: Write, settles: Sequence[int] = ()) -> HeadwaterError:
        """Commit one unit that must be rejected."""
        (outcome,) = await self.commit_units(Unit(writes, settles=settles))
        assert isinstance(outcome, HeadwaterError), outcome
        return outcome

    async def change(self, write: Write) -> Change:
        """Commit one write that must change something."""
        (outcome,) = await self.commit(write)
        assert isinstance(outcome, Change), outcome
        return outcome

    async def reject(self, write: Write) -> HeadwaterError:
        """Commit one write that must be rejected."""
        (outcome,) = await self.commit(write)
        assert isinstance(outcome, HeadwaterError), outcome
        return outcome

    async def read(
        self, after: int, group: GroupKey = G, limit_bytes: int = WIDE, only: str | None = None
    ) -> Page:
        """Read one page, which must keep the rules that every page keeps."""
        page = await (await self.store()).read(group, after=after, limit_bytes=limit_bytes, only=only)
        check_page(page, after)
        return page

    async def held_after(
        self, after: int, held: dict[str, Item], group: GroupKey = G, limit_bytes: int = WIDE
    ) -> int:
        """Bring what a reader holds up to date, page by page; answers its cursor then."""
        complete = False
        while not complete:
            page = await self.read(after, group, limit_bytes)
            apply(page, held)
            after, complete = page.through, page.complete
        return after

    async def snapshot(self, group: GroupKey = G, limit_bytes: int = WIDE) -> Snapshot:
        """Everything in a group, read from 0 in as many pages as it takes."""
        held: dict[str, Item] = {}
        version = await self.held_after(0, held, group, limit_bytes)
        return Snapshot(version, held)


class Snapshot(NamedTuple):
    """What a reader holds: the group's version and its items by id."""

    version: int
    held: dict[str, Item]

    def order(self) -> list[str]:
        """The ids in the order of creation."""
        return [item.id for item in sorted(self.held.values(), key=lambda item: item.created)]


Check = Callable[[Place], Awaitable[None]]
"""One check; its name says what it pins."""


def apply(page: Page, held: dict[str, Item]) -> None:
    """Do to a reader's items what a page says."""
    for gone in page.tombstones:
        held.pop(gone.id, None)
    held.update((item.id, item) for item in page.items)


def check_page(page: Page, after: int) -> None:
    """The rules that every page keeps."""
    entries = [*page.items, *page.tombstones]
    for found in ([item.version for item in page.items], [gone.version for gone in page.tombstones]):
        assert found == sorted(set(found)), f"not in version order: {found}"
        assert all(after < version <= page.through for version in found), (after, found, page.through)
    assert len({entry.id for entry in entries}) == len(entries), "an id appears twice"
    assert all(0 < item.created <= item.version for item in page.items), page.items
    assert page.complete == (page.through == page.head.version), page
    assert entries or page.complete, "a page that is not the last holds something"
    assert after or not page.tombstones, "a snapshot has no tombstones"


def put(item_id: str, data: bytes = b"{}", group: GroupKey = G, if_version: int | None = None) -> Write:
    """A `set`."""
    return Write(group, item_id, "set", data, if_version=if_version)


def drop(item_id: str, group: GroupKey = G, if_version: int | None = None) -> Write:
    """A `delete`."""
    return Write(group, item_id, "delete", if_version=if_version)


def edit(item_id: str, function: Callable[[bytes | None], bytes], if_version: int | None = None) -> Write:
    """An `update`."""
    return Write(G, item_id, "update", apply=function, if_version=if_version)


def kinds(outcomes: Sequence[Outcome]) -> list[str]:
    """What became of each write, in a word: the kind of change, "repeated", the code of the error, or
    "nothing"."""
    return [_kind(outcome) for outcome in outcomes]


def _kind(outcome: Outcome) -> str:
    match outcome:
        case None:
            return "nothing"
        case Change():
            return outcome.kind
        case Repeated():
            return "repeated"
        case _:
            return outcome.code
