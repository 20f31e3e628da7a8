"""Steps that react to writes: once for each, in an item's order, whatever dies, and never without end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from headwater.errors import InvalidInput, WorkerLost
from headwater.model import GroupKey, Origin, Write
from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.streams.state import STATE
from headwater.work.consumer import Consumer
from headwater.work.reactions import MOST_DEPTH, Reactions
from support.stream_store import HeldStore
from support.work_stage import WorkStage, consumer

ROOM = GroupKey("chat", "room")


class HandConditions:
    """Wants what it is told to want."""

    def __init__(self) -> None:
        self.wanted = True
        self.fault: Exception | None = None
        self.asked: list[Any] = []
        self.origin = Origin()

    async def condition(self, consumer: Consumer, reaction: bytes, origin: Origin) -> bool:
        self.asked.append(orjson.loads(reaction))
        self.origin = origin
        if self.fault is not None:
            raise self.fault
        return self.wanted


class ReactionStage(WorkStage):
    """Writes on one side, reacting steps on the other."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.conditions = HandConditions()
        self.reactions = Reactions(
            store, self.queue, self.dispatcher, self.ledger, self.conditions, self.clock
        )

    async def begin(self, *topics: str, **more: Any) -> None:
        await self.start(consumer("react", topics=topics, **more))
        self.reactions.take(topics)

    async def write(self, item: str, depth: int = 0, group: GroupKey = ROOM, **members: Any) -> None:
        data = orjson.dumps({**members, "id": item})
        await self.queue.add(Write(group, item, "set", data, origin=Origin("writer", "trace", depth)))

    async def react(self) -> list[Any]:
        """Let the outbox be emptied; what runs then."""
        await self.reactions.empty()
        await self.settle()
        return [orjson.loads(payload) for payload in self.performer.running]


@pytest.fixture
async def stage() -> AsyncGenerator[ReactionStage]:
    stage = ReactionStage(HeldStore(MemoryStore()))
    yield stage
    await stage.close()


async def test_a_step_is_given_what_was_before_and_after_each_write(stage: ReactionStage) -> None:
    await stage.begin("stream:chat")
    await stage.write("a", n=1)
    (created,) = await stage.react()
    assert created == {
        "type": "create",
        "groupId": "room",
        "id": "a",
        "old": None,
        "new": {"n": 1, "id": "a"},
        "version": 1,
    }
    await stage.end(created)
    await stage.queue.add(Write(ROOM, "a", "delete"))
    (gone,) = await stage.react()
    assert (gone["type"], gone["old"], gone["new"], gone["version"]) == (
        "delete",
        {"n": 1, "id": "a"},
        None,
        2,
    )


async def test_writes_that_nobody_reacts_to_leave_nothing_behind(stage: ReactionStage) -> None:
    await stage.begin("stream:chat")
    await stage.write("a", group=GroupKey("news", "room"))
    assert await stage.store.outbox() == []


async def test_values_of_the_state_are_given_as_they_are(stage: ReactionStage) -> None:
    await stage.begin("state:users")
    await stage.write("ada", group=GroupKey(STATE, "users"), value=[1])
    await stage.write("bob", group=GroupKey(STATE, "other"), value=1)
    (seen,) = await stage.react()
    assert (seen["groupId"], seen["id"], seen["old"], seen["new"]) == ("users", "ada", None, [1])


async def test_an_items_versions_come_in_order_over_retries_and_other_items_do_not_wait(
    stage: ReactionStage,
) -> None:
    await stage.begin("stream:chat")
    await stage.write("a", n=1)
    await stage.write("a", n=2)
    await stage.write("b", n=3)
    running = await stage.react()
    assert [one["version"] for one in running] == [1, 3]


async def test_a_write_is_reacted_to_once_whatever_dies_in_between(stage: ReactionStage) -> None:
    await stage.begin("stream:chat")
    await stage.write("a", n=1)
    again = ReactionStage(stage.store.inner)  # pyright: ignore[reportAttributeAccessIssue]
    await again.begin("stream:chat")
    assert len(await again.react()) == 1
    assert len(await again.react()) == 1
    assert await again.store.outbox() == []


async def test_a_condition_decides_and_one_that_cannot_be_asked_is_asked_again(stage: ReactionStage) -> None:
    await stage.begin("stream:chat", conditional=True)
    await stage.write("a", n=1)
    stage.conditions.fault = WorkerLost("gone")
    with pytest.raises(WorkerLost):
        await stage.react()
    stage.conditions.fault, stage.conditions.wanted = None, False
    assert await stage.react() == []
    stage.conditions.wanted = True
    await stage.write("a", n=2)
    assert [one["version"] for one in await stage.react()] == [2]
    assert [one["version"] for one in stage.conditions.asked] == [1, 1, 2]


async def test_a_chain_without_end_is_cut_and_kept_as_a_dead_letter(stage: ReactionStage) -> None:
    await stage.begin("stream:chat")
    await stage.write("a", depth=MOST_DEPTH - 1)
    (last,) = await stage.react()
    await stage.end(last)
    await stage.write("a", depth=MOST_DEPTH)
    assert await stage.react() == []
    (dead,) = await stage.dead("react")
    assert dead["error"]["code"] == "REACTION_LOOP"
    assert (dead["data"]["version"], dead["depth"]) == (2, MOST_DEPTH + 1)
    assert await stage.store.outbox() == []


async def test_nobody_emits_a_topic_of_writes(stage: ReactionStage) -> None:
    await stage.begin("stream:chat")
    with pytest.raises(InvalidInput):
        await stage.emit(1, topic="stream:chat")
