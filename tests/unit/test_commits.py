"""The commit queue: one order for writes and events, one commit at a time, bounded, closed in peace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import orjson
import pytest

from headwater.clock import Stamps
from headwater.errors import Conflict, HeadwaterError, StoreFull, StoreUnavailable, TooLarge, TooMany
from headwater.model import Change, PlacedSignal, Signal, Unit, Write, WriteKind
from headwater.storage.base import UnitOutcome
from headwater.storage.memory import MemoryStore
from headwater.streams import commits as commits_module
from headwater.streams.commits import ENTRY_BYTES, CommitQueue, Published
from support.stream_changes import ROOM
from support.stream_clock import HandClock
from support.stream_store import HeldStore, turns


class Stage:
    """A queue over a held store, and what it published."""

    def __init__(self, max_pending_bytes: int = 10_000_000) -> None:
        self.store = HeldStore(MemoryStore())
        self.published: list[Sequence[Published]] = []
        self.done: list[str] = []
        self.stamps = Stamps(HandClock())
        self.queue = CommitQueue(self.store, self.stamps, self._publish, max_pending_bytes=max_pending_bytes)

    def _publish(self, batch: Sequence[Published]) -> None:
        self.published.append(batch)
        self.done.append("published")

    @property
    def log(self) -> list[str]:
        """What was published, in order, as short words."""
        return [
            f"{one.kind} {one.id}" if isinstance(one, Change) else f"event {orjson.loads(one.body)['type']}"
            for batch in self.published
            for one in batch
        ]


@pytest.fixture
async def stage() -> AsyncGenerator[Stage]:
    stage = Stage()
    yield stage
    await stage.store.release()
    await stage.queue.close()


def write(item: str, kind: WriteKind = "set", if_version: int | None = None, size: int = 0) -> Write:
    data = orjson.dumps({"id": item, "text": "x" * size}) if kind == "set" else b""
    return Write(ROOM, item, kind, data, None, if_version)


def event(kind: str) -> Signal:
    return Signal(ROOM, None, orjson.dumps({"type": kind, "data": None}))


class TestOrder:
    async def test_events_leave_between_the_writes_they_were_made_between(self, stage: Stage) -> None:
        queue = stage.queue
        whats = [write("a"), event("one"), write("b"), event("two"), write("a", "delete")]
        await asyncio.gather(*[queue.add(what) for what in whats])
        assert stage.log == ["create a", "event one", "create b", "event two", "delete a"]

    async def test_an_event_waits_for_the_write_before_it(self, stage: Stage) -> None:
        stage.store.holds.add("commit")
        stage.queue.add(write("a"))
        sent = stage.queue.add(event("one"))
        await turns()
        assert (stage.log, sent.done()) == ([], False)
        await stage.store.release()
        await sent
        assert stage.log == ["create a", "event one"]

    async def test_events_alone_need_no_store(self, stage: Stage) -> None:
        stage.store.faults["commit"] = StoreUnavailable("Gone.")
        await stage.queue.add(event("one"))
        assert stage.log == ["event one"]

    async def test_what_is_done_was_published_before(self, stage: Stage) -> None:
        queued = stage.queue.add(write("a"))
        queued.add_done_callback(lambda _: stage.done.append("answered"))
        await queued
        await turns()
        assert stage.done == ["published", "answered"]


class TestGroupCommit:
    async def test_what_comes_during_a_commit_becomes_the_next_one(self, stage: Stage) -> None:
        stage.store.holds.add("commit")
        stage.queue.add(write("a"))
        await turns()
        for name in "bcd":
            stage.queue.add(write(name))
        await turns()
        [first] = stage.store.waiting("commit")
        await first.finish()
        [second] = stage.store.waiting("commit")
        await second.finish()
        await turns()
        assert [len(batch) for batch in stage.published] == [1, 3]

    async def test_what_is_ready_when_a_commit_ends_joins_the_next_one(self, stage: Stage) -> None:
        stage.store.holds.add("commit")
        first = stage.queue.add(write("a"))
        await turns()
        stage.queue.add(write("b"))
        answered = asyncio.ensure_future(first)
        answered.add_done_callback(lambda _: stage.queue.add(write("c")))
        [commit] = stage.store.waiting("commit")
        await commit.finish()
        await turns()
        await stage.store.release()
        assert [len(batch) for batch in stage.published] == [1, 2]

    async def test_a_batch_is_bounded_in_number_and_bytes(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commits_module, "MAX_BATCH_WRITES", 4)
        monkeypatch.setattr(commits_module, "MAX_BATCH_BYTES", 8000)
        await asyncio.gather(*[stage.queue.add(write(str(n))) for n in range(10)])
        await asyncio.gather(*[stage.queue.add(write(str(n), size=4000)) for n in range(4)])
        assert [len(batch) for batch in stage.published] == [4, 4, 2, 2, 2]


class TestOutcomes:
    async def test_are_a_change_none_or_the_error_of_that_write_alone(self, stage: Stage) -> None:
        queue = stage.queue
        whats = [write("a"), write("b", "delete"), write("a", if_version=9), write("a")]
        created, nothing, conflict, updated = await asyncio.gather(
            *[queue.add(what) for what in whats], return_exceptions=True
        )
        assert (created.kind, created.version) == ("create", 1)
        assert nothing is None
        assert isinstance(conflict, Conflict)
        assert (updated.kind, updated.version) == ("update", 2)
        assert stage.log == ["create a", "update a"]

    async def test_of_a_failed_commit_are_its_error_and_nothing_is_published(self, stage: Stage) -> None:
        stage.store.faults["commit"] = StoreFull("The disk is full.")
        failed = await asyncio.gather(
            stage.queue.add(write("a")), stage.queue.add(write("b")), return_exceptions=True
        )
        assert [type(one) for one in failed] == [StoreFull, StoreFull]
        del stage.store.faults["commit"]
        assert (await stage.queue.add(write("a"))).version == 1
        assert stage.log == ["create a"]

    async def test_of_a_store_that_breaks_are_a_clear_error(self, stage: Stage) -> None:
        class Broken(MemoryStore):
            async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
                raise ZeroDivisionError

        stage.store.inner = Broken()
        with pytest.raises(StoreUnavailable, match="ZeroDivisionError"):
            await stage.queue.add(write("a"))

    async def test_of_a_store_that_forgets_an_answer_are_a_clear_error(self, stage: Stage) -> None:
        class Forgetful(MemoryStore):
            async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
                return []

        stage.store.inner = Forgetful()
        with pytest.raises(StoreUnavailable):
            await stage.queue.add(write("a"))
        stage.store.inner = MemoryStore()
        assert (await stage.queue.add(write("a"))).version == 1

    async def test_stand_when_publishing_breaks(self, stage: Stage) -> None:
        def broken(batch: Sequence[Published]) -> None:
            raise ZeroDivisionError

        queue = CommitQueue(stage.store, Stamps(HandClock()), broken, max_pending_bytes=1000)
        assert (await queue.add(write("a"))).version == 1
        assert (await queue.add(write("a"))).version == 2

    async def test_of_a_caller_that_gave_up_do_not_matter(self, stage: Stage) -> None:
        given_up = stage.queue.add(write("a"))
        given_up.cancel()
        assert (await stage.queue.add(write("b"))).version == 2
        assert stage.log == ["create a", "create b"]

    async def test_commits_carry_rising_stamps(self, stage: Stage) -> None:
        seen: list[float] = []

        class Watched(MemoryStore):
            async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
                seen.append(stamp)
                return await super().commit(units, stamp=stamp)

        stage.store.inner = Watched()
        for _ in range(3):
            await stage.queue.add(write("a"))
        assert seen == sorted(set(seen))


class TestAnswers:
    async def test_are_what_the_caller_makes_of_them(self, stage: Stage) -> None:
        queue = stage.queue
        assert await queue.add(write("a"), answer=lambda change: change.version) == 1
        assert await queue.add(write("b", "delete"), answer=lambda change: [change]) == [None]
        assert await queue.add(event("one"), answer=lambda _: "sent") == "sent"
        made = queue.add_unit(Unit([write("a"), write("b")]), answer=len)
        assert await made == 2

    async def test_that_cannot_be_made_are_the_callers_alone(self, stage: Stage) -> None:
        broken = stage.queue.add(write("a"), answer=lambda change: change.nothing)
        assert (await stage.queue.add(write("b"))).version == 2
        with pytest.raises(AttributeError):
            await broken
        assert stage.queue.pending_bytes == 0


class TestUnits:
    async def test_publish_changes_and_signals_in_the_order_they_say(self, stage: Stage) -> None:
        queue = stage.queue
        signals = [
            PlacedSignal(2, event("last")),
            PlacedSignal(0, event("first")),
            PlacedSignal(1, event("mid")),
        ]
        unit = Unit([write("a"), write("zz", "delete"), write("b")], signals)
        whats = [
            queue.add(write("x")),
            queue.add_unit(unit),
            queue.add(event("after")),
            queue.add(write("y")),
        ]
        changes = (await asyncio.gather(*whats))[1]
        assert [change and change.id for change in changes] == ["a", None, "b"]
        assert stage.log == [
            "create x",
            "event first",
            "create a",
            "event mid",
            "event last",
            "create b",
            "event after",
            "create y",
        ]

    async def test_that_are_rejected_publish_nothing(self, stage: Stage) -> None:
        unit = Unit([write("a"), write("b", if_version=9)], [PlacedSignal(1, event("one"))])
        rejected = stage.queue.add_unit(unit)
        alone = stage.queue.add(write("c"))
        with pytest.raises(Conflict) as caught:
            await rejected
        assert caught.value.details["index"] == 1
        assert (await alone).version == 1
        assert stage.log == ["create c"]

    async def test_whose_key_was_used_answer_the_first_and_publish_nothing(self, stage: Stage) -> None:
        unit = Unit([write("a")], [PlacedSignal(1, event("one"))], key="k")
        first = await stage.queue.add_unit(unit)
        assert await stage.queue.add_unit(unit) == first
        assert stage.log == ["create a", "event one"]

    async def test_of_signals_alone_are_published(self, stage: Stage) -> None:
        assert await stage.queue.add_unit(Unit([], [PlacedSignal(0, event("one"))])) == []
        assert stage.log == ["event one"]

    async def test_above_their_limits_are_refused(self, stage: Stage) -> None:
        queue = CommitQueue(
            stage.store,
            stage.stamps,
            lambda _: None,
            max_pending_bytes=1 << 20,
            max_unit_writes=3,
            max_unit_bytes=500,
        )
        await queue.add_unit(Unit([write("a"), write("b")], [PlacedSignal(0, event("one"))]))
        for unit in (
            Unit([write(name) for name in "abcd"]),
            Unit([write("a"), write("b")], [PlacedSignal(0, event("one"))] * 2),
            Unit([write("a")], settles=[1, 2, 3]),
        ):
            with pytest.raises(TooLarge, match="larger") as caught:
                await queue.add_unit(unit)
            assert caught.value.details["limit"] == 3
            assert "max_unit_writes" in caught.value.hint
        with pytest.raises(TooLarge) as caught:
            await queue.add_unit(Unit([write("a", size=300), write("b", size=300)]))
        assert "max_unit_bytes" in caught.value.hint
        with pytest.raises(TooLarge):
            await queue.add_unit(Unit([write("a")]), extra_bytes=600)
        await queue.close()

    async def test_count_as_many_writes_in_a_batch(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commits_module, "MAX_BATCH_WRITES", 4)
        unit = Unit([write(name) for name in "abc"])
        await asyncio.gather(*[stage.queue.add_unit(unit) for _ in range(4)])
        assert [len(batch) for batch in stage.published] == [6, 6]


class TestLimits:
    async def test_refuse_what_would_wait_beyond_them(self) -> None:
        stage = Stage(max_pending_bytes=3000)
        stage.store.holds.add("commit")
        taken = stage.queue.add(write("a", size=2000))
        refused = stage.queue.add(write("b", size=2000))
        with pytest.raises(TooMany) as caught:
            await refused
        assert caught.value.details["limit"] == 3000
        await stage.store.release()
        await taken
        assert stage.queue.pending_bytes == 0
        await stage.queue.add(write("b", size=2000))

    async def test_let_a_single_write_above_them_through(self) -> None:
        stage = Stage(max_pending_bytes=1000)
        assert (await stage.queue.add(write("a", size=5000))).version == 1

    @pytest.mark.parametrize("kind", ["set", "delete"])
    async def test_count_what_a_write_costs_beside_its_data(self, kind: WriteKind) -> None:
        stage = Stage(max_pending_bytes=10 * ENTRY_BYTES)
        stage.store.holds.add("commit")
        queued = [stage.queue.add(write("a", kind)) for _ in range(30)]
        await turns()
        refused = [one for one in queued if one.done() and isinstance(one.exception(), TooMany)]
        assert len(refused) >= 20
        await stage.store.release()
        await stage.queue.close()

    async def test_count_what_an_update_brings(self) -> None:
        stage = Stage(max_pending_bytes=10_000)
        stage.store.holds.add("commit")
        update = Write(ROOM, "a", "update", apply=lambda _: b'{"id":"a"}')
        stage.queue.add(update, extra_bytes=9000)
        with pytest.raises(TooMany):
            await stage.queue.add(update, extra_bytes=9000)
        await stage.store.release()
        await stage.queue.close()


class TestClosing:
    async def test_waits_for_what_was_taken_and_refuses_the_rest(self, stage: Stage) -> None:
        stage.store.holds.add("commit")
        taken = [stage.queue.add(write("a")), stage.queue.add(write("b"))]
        closing = asyncio.create_task(stage.queue.close())
        await turns()
        assert not closing.done()
        with pytest.raises(StoreUnavailable, match="shutting down"):
            await stage.queue.add(write("c"))
        await stage.store.release()
        await closing
        assert [one.result().id for one in taken] == ["a", "b"]

    async def test_of_an_idle_queue_is_quick_and_repeatable(self, stage: Stage) -> None:
        await stage.queue.close()
        await stage.queue.close()

    async def test_ends_even_where_the_store_fails(self, stage: Stage) -> None:
        stage.store.faults["commit"] = StoreUnavailable("Gone.")
        taken = stage.queue.add(write("a"))
        await stage.queue.close()
        assert isinstance(taken.exception(), HeadwaterError)


class TestTheLastStamp:
    """Frames that no write caused take stamps too, and the next process must begin above them."""

    @pytest.fixture
    def kept(self, stage: Stage) -> list[float]:
        kept: list[float] = []

        class Watched(MemoryStore):
            async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
                kept.append(stamp)
                return await super().commit(units, stamp=stamp)

        stage.store.inner = Watched()
        return kept

    async def test_is_kept_when_no_write_carried_it(self, stage: Stage, kept: list[float]) -> None:
        await stage.queue.add(write("a"))
        sent = stage.stamps.next()
        stage.queue.keep_stamp()
        await turns()
        assert kept[-1] == sent

    async def test_is_not_kept_twice(self, stage: Stage, kept: list[float]) -> None:
        await stage.queue.add(write("a"))
        stage.queue.keep_stamp()
        await turns()
        stage.stamps.next()
        for _ in range(3):
            stage.queue.keep_stamp()
            await turns()
        await stage.queue.close()
        assert len(kept) == 2

    async def test_is_kept_at_the_end(self, stage: Stage, kept: list[float]) -> None:
        await stage.queue.add(write("a"))
        sent = stage.stamps.next()
        await stage.queue.close()
        assert kept[-1] == sent

    async def test_that_could_not_be_kept_is_tried_again(self, stage: Stage, kept: list[float]) -> None:
        sent = stage.stamps.next()
        stage.store.faults["commit"] = StoreFull("The disk is full.")
        stage.queue.keep_stamp()
        await turns()
        del stage.store.faults["commit"]
        stage.queue.keep_stamp()
        await turns()
        assert kept == [sent]

    async def test_does_not_get_in_the_way_of_writes(self, stage: Stage, kept: list[float]) -> None:
        stage.stamps.next()
        stage.store.holds.add("commit")
        stage.queue.keep_stamp()
        written = stage.queue.add(write("a"))
        await turns()
        assert len(stage.store.waiting("commit")) == 1
        await stage.store.release()
        assert (await written).version == 1
