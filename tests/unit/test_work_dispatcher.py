"""The life of a job, from the emit to its end: tries, retries, order, restarts, faults of the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from headwater.config import WorkSettings
from headwater.errors import (
    InvalidInput,
    QueueFull,
    RunLost,
    RunUnknown,
    SchemaMismatch,
    StoreUnavailable,
    TooLarge,
    TooMany,
)
from headwater.model import GroupKey, Origin
from headwater.schema import Schema
from headwater.storage.memory import MemoryStore
from headwater.work.attempt import HandedOn
from headwater.work.consumer import Consumers
from headwater.work.events import Emission
from headwater.work.job import KEPT, Place
from support.stream_store import HeldStore, turns
from support.work_stage import BROKEN, WorkStage, consumer


@pytest.fixture
async def stage() -> AsyncGenerator[WorkStage]:
    stage = WorkStage(HeldStore(MemoryStore()))
    yield stage
    await stage.close()
    await stage.store.close()


async def test_an_emitted_event_runs_once_on_each_step_that_subscribes(stage: WorkStage) -> None:
    await stage.start(consumer("one"), consumer("two"), consumer("other", topics=("o",)))
    await stage.emit({"n": 1})
    assert stage.performer.running == ['{"n":1}', '{"n":1}']
    for name in ("one", "two"):
        job = (await stage.jobs(name))[0]
        assert (job["status"], job["attempts"], job["trace"]) == ("running", 1, "trace")
    assert await stage.jobs("other") == []


async def test_what_is_done_is_settled_and_kept_for_a_while(stage: WorkStage) -> None:
    await stage.start()
    await stage.emit(1)
    await stage.end(1)
    assert await stage.jobs() == []
    (left,) = await stage.done()
    assert (left["status"], left["attempts"], left["topic"]) == ("done", 1, "t")
    assert stage.dispatcher.size == 0


async def test_a_failed_event_is_tried_again_later_and_later_then_given_up(stage: WorkStage) -> None:
    await stage.start()
    await stage.emit("x")
    for attempt, longest in enumerate((1, 2, 4), 1):
        await stage.end("x", BROKEN)
        (job,) = await stage.jobs()
        assert (job["status"], job["error"]) == ("retrying", "It broke.")
        assert longest / 2 <= job["due"] - stage.clock.time <= longest
        await stage.pass_time(longest / 2 - 0.01)
        assert stage.performer.running == []
        await stage.pass_time(longest)
        assert stage.performer.log[-1] == ('"x"', attempt + 1)
    await stage.end("x", BROKEN)
    assert await stage.jobs() == []
    (dead,) = await stage.dead()
    assert dead["data"] == "x"
    assert dead["error"] == {"code": "HANDLER_FAILED", "message": "It broke.", "traceback": "Traceback"}
    assert dead["attempts"] == 4


async def test_no_more_of_a_step_run_than_it_says(stage: WorkStage) -> None:
    await stage.start(consumer(concurrency=2))
    for number in range(3):
        await stage.emit(number)
    assert stage.performer.running == ["0", "1"]
    await stage.end(0)
    assert stage.performer.running == ["1", "2"]


async def test_a_fifo_step_keeps_the_order_of_each_group_over_retries(stage: WorkStage) -> None:
    await stage.start(consumer(fifo=True))
    for data, group in (("x1", "x"), ("x2", "x"), ("y1", "y")):
        await stage.emit(data, group=group)
    assert stage.performer.running == ['"x1"', '"y1"']
    await stage.end("x1", BROKEN)
    assert stage.performer.running == ['"y1"']
    await stage.pass_time(2)
    await stage.end("x1")
    assert stage.performer.running == ['"y1"', '"x2"']


async def test_events_that_are_committed_together_keep_their_order(stage: WorkStage) -> None:
    await stage.start(consumer(fifo=True))
    stage.store.holds.add("commit")  # pyright: ignore[reportAttributeAccessIssue]
    emitted = [
        stage.events.emit(Emission("t", b"%d" % n, key=None if n else "first", origin=Origin("e", "t")))
        for n in range(4)
    ]
    await turns()
    await stage.store.release()  # pyright: ignore[reportAttributeAccessIssue]
    await asyncio.gather(*emitted)
    for number in range(4):
        await stage.settle()
        assert stage.performer.running == [str(number)]
        await stage.end(number)


async def test_delays_of_step_and_event_add_up(stage: WorkStage) -> None:
    await stage.start(consumer(delay=5))
    await stage.emit(1, delay=3)
    await stage.pass_time(7.9)
    assert stage.performer.running == []
    await stage.pass_time(0.2)
    assert stage.performer.running == ["1"]


async def test_a_clock_that_is_set_back_keeps_nobody_waiting_longer(stage: WorkStage) -> None:
    await stage.start()
    await stage.emit("later", delay=5)
    await stage.emit("failed")
    await stage.end("failed", BROKEN)
    await stage.set_clock(-86_400)
    assert stage.performer.running == []
    await stage.pass_time(1)
    assert stage.performer.running == ['"failed"']
    await stage.emit("soon", delay=1)
    await stage.pass_time(4)
    assert stage.performer.running == ['"failed"', '"soon"', '"later"']


async def test_nor_does_one_that_is_set_back_before_the_next_start(stage: WorkStage) -> None:
    await stage.start()
    await stage.emit("later", delay=5)
    await stage.emit("failed")
    await stage.end("failed", BROKEN)
    again = WorkStage(stage.store, WorkSettings(retry_most=2))
    again.clock.time -= 86_400
    await again.start()
    assert again.performer.running == []
    await again.pass_time(2)
    assert again.performer.running == ['"failed"']
    await again.pass_time(3)
    assert again.performer.running == ['"failed"', '"later"']


async def test_a_clock_that_is_set_on_starts_what_is_due_by_it_once(stage: WorkStage) -> None:
    await stage.start()
    await stage.emit(1, delay=3600)
    await stage.set_clock(7200)
    assert stage.performer.running == ["1"]
    await stage.set_clock(-7200)
    await stage.end(1)
    await stage.pass_time(86_400)
    assert stage.performer.log == [("1", 1)]


async def test_a_key_holds_and_a_dead_letter_is_kept_whatever_the_clock_does(stage: WorkStage) -> None:
    await stage.start(consumer(retries=0))
    await stage.emit(1, key="k")
    await stage.set_clock(-86_400)
    await stage.emit(1, key="k")
    await stage.end(1, BROKEN)
    assert len(stage.performer.log) == 1
    assert [one["data"] for one in await stage.dead()] == [1]
    await stage.set_clock(+3600)
    await stage.emit(1, key="k")
    assert len(stage.performer.log) == 1


async def test_a_key_that_was_used_makes_no_second_job(stage: WorkStage) -> None:
    await stage.start()
    first = await stage.emit(1, key="k")
    again = await stage.emit(2, key="k")
    await stage.emit(3, key="other")
    assert stage.performer.running == ["1", "3"]
    assert (first.repeated, again.repeated) == (False, True)
    (job, _) = await stage.jobs()
    assert first.runs == again.runs == {"step": job["id"]}


async def test_a_large_payload_lies_beside_its_job_and_goes_with_it(stage: WorkStage) -> None:
    await stage.start()
    text = "x" * 5000
    await stage.emit(text)
    assert "data" not in (await stage.jobs())[0]
    assert (await stage.kept("headwater.payloads"))[0]["data"] == text
    await stage.end(text, BROKEN)
    await stage.pass_time(2)
    await stage.end(text)
    assert await stage.kept("headwater.payloads") == []


async def test_an_emit_is_committed_before_it_is_answered(stage: WorkStage) -> None:
    await stage.start()
    stage.store.holds.add("commit")  # pyright: ignore[reportAttributeAccessIssue]
    emitted = stage.events.emit(Emission("t", b"1"))
    await turns()
    assert not emitted.done()
    assert stage.performer.running == []
    await stage.store.release()  # pyright: ignore[reportAttributeAccessIssue]
    await emitted
    await stage.settle()
    assert stage.performer.running == ["1"]


async def test_an_emit_that_the_store_refuses_runs_nothing(stage: WorkStage) -> None:
    await stage.start(consumer(concurrency=1))
    stage.store.faults["commit"] = StoreUnavailable("The disk is gone.")  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(StoreUnavailable):
        await stage.events.emit(Emission("t", b"1"))
    stage.store.faults.clear()  # pyright: ignore[reportAttributeAccessIssue]
    await stage.emit(2)
    assert stage.performer.running == ["2"]
    assert stage.dispatcher.size == 1


@pytest.mark.parametrize(
    ("emission", "error"),
    [
        (Emission(" ", b"1"), InvalidInput),
        (Emission("t", b"{"), InvalidInput),
        (Emission("t", b"1", delay=-1), InvalidInput),
        (Emission("t", b"1", delay=float("nan")), InvalidInput),
        (Emission("t", b"1", key=""), InvalidInput),
        (Emission("t", b"1", group="g" * 2000), InvalidInput),
        (Emission("t", b"1" * 5_000_000), TooLarge),
    ],
)
async def test_what_makes_no_sense_is_refused(
    stage: WorkStage, emission: Emission, error: type[Exception]
) -> None:
    await stage.start()
    with pytest.raises(error):
        await stage.events.emit(emission)


async def test_more_than_may_wait_is_refused() -> None:
    stage = WorkStage(MemoryStore(), WorkSettings(max_queued=2))
    await stage.start(consumer(concurrency=1))
    await stage.emit(1)
    await stage.emit(2)
    with pytest.raises(QueueFull) as refused:
        await stage.emit(3)
    assert (refused.value.code, refused.value.status) == ("QUEUE_FULL", 503)
    assert refused.value.limit == ("work.max_queued", 2)
    await stage.end(1)
    await stage.emit(4)
    await stage.close()


async def test_input_that_breaks_the_schema_is_told_and_run(
    stage: WorkStage, caplog: pytest.LogCaptureFixture
) -> None:
    schema = Schema({"type": "object", "properties": {"n": {"type": "integer"}}})
    await stage.start(consumer(schema=schema))
    await stage.emit({"n": "one"})
    assert stage.performer.running == ['{"n":"one"}']
    assert 'breaks the input of "step": n: ' in caplog.text


async def test_strictly_it_is_refused() -> None:
    stage = WorkStage(MemoryStore(), WorkSettings(input="strict"))
    await stage.start(consumer(schema=Schema({"type": "integer"})))
    with pytest.raises(SchemaMismatch):
        await stage.emit("one")
    await stage.close()


async def test_what_its_author_may_not_mean_is_told_once(
    stage: WorkStage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.start(consumer(topics=("order.created",)))
    for _ in range(2):
        emission = Emission("Order.Created", b"1", origin=Origin("shop", ""), unknown="messageGroupID")
        await stage.events.emit(emission, ("order.created",))
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        'An emit has no "messageGroupID", which is ignored. Is "messageGroupId" meant?',
        '"shop" emits "Order.Created", which its "emits" does not list.',
        'Nobody subscribes to "Order.Created"; the event is dropped. Is "order.created" meant?',
    ]


async def test_what_is_handed_on_runs_again_and_counts_as_no_attempt(stage: WorkStage) -> None:
    await stage.start()
    await stage.emit(1)
    await stage.end(1, HandedOn())
    await stage.pass_time(0.1)
    assert stage.performer.log == [("1", 1), ("1", 1)]


async def test_work_of_a_step_that_is_gone_waits_for_it(stage: WorkStage) -> None:
    await stage.start(consumer(concurrency=1))
    await stage.emit(1)
    await stage.emit(2)
    stage.dispatcher.consume(Consumers())
    await stage.end(1)
    assert stage.performer.running == []
    assert [job["id"] for job in await stage.jobs()] != []
    stage.dispatcher.consume(Consumers([consumer()]))
    await stage.settle()
    assert stage.performer.running == ["2"]


async def test_a_paused_queue_starts_nothing_until_it_is_let_go(stage: WorkStage) -> None:
    await stage.start()
    stage.dispatcher.pause(["step"])
    await stage.emit(1)
    assert stage.performer.running == []
    stage.dispatcher.pause([])
    await stage.settle()
    assert stage.performer.running == ["1"]


async def test_what_cannot_be_settled_is_tried_until_it_can_and_not_run_meanwhile(
    stage: WorkStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headwater.work.insistence.FIRST_WAIT", 0.01)
    await stage.start()
    await stage.emit(1)
    stage.store.faults["commit"] = StoreUnavailable("The disk is full.")  # pyright: ignore[reportAttributeAccessIssue]
    await stage.end(1)
    assert stage.dispatcher.size == 1
    assert stage.performer.running == []
    stage.store.faults.clear()  # pyright: ignore[reportAttributeAccessIssue]
    async with asyncio.timeout(20):
        while stage.dispatcher.size:
            await asyncio.sleep(0.01)
    assert len(await stage.done()) == 1
    assert stage.performer.log == [("1", 1)]


class TestARestart:
    """A second server on the store of the first, which died or ended."""

    async def reborn(self, stage: WorkStage) -> WorkStage:
        return WorkStage(stage.store.inner)  # pyright: ignore[reportAttributeAccessIssue]

    async def test_runs_what_waited_in_order(self, stage: WorkStage) -> None:
        await stage.start(consumer(fifo=True))
        for number in range(3):
            await stage.emit(number)
        again = await self.reborn(stage)
        await again.start(consumer(fifo=True))
        for number in range(3):
            assert again.performer.running == [str(number)]
            await again.end(number)
        assert again.performer.log == [("0", 2), ("1", 1), ("2", 1)]
        assert again.dispatcher.size == 0

    async def test_counts_the_attempt_in_which_the_server_died(self, stage: WorkStage) -> None:
        await stage.start(consumer(retries=1))
        await stage.emit(1)
        second = await self.reborn(stage)
        await second.start(consumer(retries=1))
        assert second.performer.log == [("1", 2)]
        third = await self.reborn(stage)
        await third.start(consumer(retries=1))
        assert third.performer.log == []
        (dead,) = await third.dead()
        assert (dead["error"]["code"], dead["data"]) == ("SERVER_LOST", 1)

    async def test_of_a_server_that_ended_counts_nothing(self, stage: WorkStage) -> None:
        await stage.start(consumer(retries=0))
        await stage.emit(1)
        await stage.close()
        again = await self.reborn(stage)
        await again.start(consumer(retries=0))
        assert again.performer.log == [("1", 1)]

    async def test_waits_on_for_the_time_of_a_retry(self, stage: WorkStage) -> None:
        await stage.start()
        await stage.emit(1)
        await stage.end(1, BROKEN)
        again = await self.reborn(stage)
        await again.start()
        assert again.performer.running == []
        await again.pass_time(1)
        assert again.performer.log == [("1", 2)]


class TestCancelling:
    async def test_a_run_under_way_is_asked_to_stop_and_ends_as_cancelled(self, stage: WorkStage) -> None:
        await stage.start()
        await stage.emit(1)
        (job,) = await stage.jobs()
        assert await stage.dispatcher.cancel(job["id"])
        assert stage.performer.asked_to_stop == [job["id"]]
        assert (await stage.jobs())[0]["status"] == "cancelling"
        await stage.end(1, BROKEN)
        assert await stage.jobs() == []
        assert [one["status"] for one in await stage.done()] == ["cancelled"]
        assert not await stage.dispatcher.cancel(job["id"])

    async def test_a_run_that_waits_ends_at_once_and_never_begins(self, stage: WorkStage) -> None:
        await stage.start(consumer(concurrency=1, fifo=True))
        for number in range(3):
            await stage.emit(number)
        second = (await stage.jobs())[1]
        assert await stage.dispatcher.cancel(second["id"])
        await stage.end(0)
        await stage.end(2)
        assert [one for one, _ in stage.performer.log] == ["0", "2"]
        assert stage.dispatcher.size == 0

    async def test_a_run_that_was_cancelled_ends_at_the_next_start_also_if_its_step_is_gone(
        self, stage: WorkStage
    ) -> None:
        await stage.start(consumer("gone", concurrency=1, fifo=True))
        await stage.emit(1)
        await stage.emit(2)
        (first, _) = await stage.jobs("gone")
        await stage.dispatcher.cancel(first["id"])
        again = WorkStage(stage.store)
        await again.start(consumer("other"))
        assert [one["data"] for one in await again.jobs("gone")] == [2]
        assert [one["status"] for one in await again.done("gone")] == ["cancelled"]
        assert again.dispatcher.size == 1

    async def test_one_that_waits_for_a_retry_is_not_tried_again(self, stage: WorkStage) -> None:
        await stage.start()
        await stage.emit(1)
        await stage.end(1, BROKEN)
        (job,) = await stage.jobs()
        assert await stage.dispatcher.cancel(job["id"])
        await stage.pass_time(100)
        assert len(stage.performer.log) == 1
        assert await stage.jobs() == []

    async def test_what_was_being_cancelled_when_the_server_died_does_not_begin_again(
        self, stage: WorkStage
    ) -> None:
        await stage.start()
        await stage.emit(1)
        await stage.dispatcher.cancel((await stage.jobs())[0]["id"])
        again = WorkStage(stage.store.inner)  # pyright: ignore[reportAttributeAccessIssue]
        await again.start()
        assert again.performer.log == []
        assert [one["status"] for one in await again.done()] == ["cancelled"]

    async def test_what_is_handed_on_while_it_is_cancelled_ends(self, stage: WorkStage) -> None:
        await stage.start()
        await stage.emit(1)
        await stage.dispatcher.cancel((await stage.jobs())[0]["id"])
        await stage.end(1, HandedOn())
        await stage.pass_time(1)
        assert len(stage.performer.log) == 1


class TestRuns:
    async def begun(self, stage: WorkStage) -> str:
        await stage.start()
        await stage.emit(1)
        return (await stage.jobs())[0]["id"]

    async def test_what_a_run_keeps_is_there_for_its_later_attempts_and_goes_with_it(
        self, stage: WorkStage
    ) -> None:
        run = await self.begun(stage)
        assert await stage.runs.kept(run, "a#1") is None
        await stage.runs.keep(run, 1, "a#1", b'{"n":1}')
        assert not stage.performer.resumed
        await stage.end(1, BROKEN)
        await stage.pass_time(2)
        assert stage.performer.resumed
        assert await stage.runs.kept(run, "a#1") == b'{"id":"a#1","value":{"n":1}}'
        await stage.end(1)
        assert await stage.runs.kept(run, "a#1") is None

    async def test_what_a_run_keeps_in_all_its_attempts_is_bounded_and_goes_with_it(
        self, stage: WorkStage
    ) -> None:
        run, most = await self.begun(stage), stage.settings.max_kept_steps
        await asyncio.gather(*(stage.runs.keep(run, 1, f"first#{n}", b"1") for n in range(most - 1)))
        await stage.end(1, BROKEN)
        await stage.pass_time(2)
        await stage.runs.keep(run, 2, "first#0", b"2")
        await stage.runs.keep(run, 2, "second#1", b"1")
        with pytest.raises(TooMany) as caught:
            await stage.runs.keep(run, 2, "second#2", b"1")
        assert "max_kept_steps" in caught.value.hint
        await stage.end(1)
        assert await stage.kept(KEPT, run) == []

    async def test_an_attempt_that_is_over_keeps_and_claims_nothing(self, stage: WorkStage) -> None:
        run = await self.begun(stage)
        await stage.end(1, BROKEN)
        await stage.pass_time(2)
        for late in (
            stage.runs.keep(run, 1, "a#1", b"1"),
            stage.runs.own(run, 1, Place("chat", "g", "a")),
            stage.runs.keep("no such run", 1, "a#1", b"1"),
        ):
            with pytest.raises(RunLost):
                await late
        await stage.runs.keep(run, 2, "a#1", b"1")

    async def test_a_result_that_is_too_large_is_refused_with_what_to_do(self, stage: WorkStage) -> None:
        run = await self.begun(stage)
        with pytest.raises(TooLarge) as caught:
            await stage.runs.keep(run, 1, "a#1", b"1" * (1 << 21))
        assert "max_kept_bytes" in caught.value.hint

    async def test_whoever_sees_a_claimed_item_can_stop_its_run_also_after_a_restart(
        self, stage: WorkStage
    ) -> None:
        run = await self.begun(stage)
        place = Place("chat", "room", "answer")
        await stage.runs.own(run, 1, place)
        again = WorkStage(stage.store.inner)  # pyright: ignore[reportAttributeAccessIssue]
        await again.start()
        await again.runs.cancel_item(GroupKey("chat", "room"), "answer")
        assert again.performer.asked_to_stop == [run]
        await again.end(1)
        with pytest.raises(RunUnknown):
            await again.runs.cancel_item(GroupKey("chat", "room"), "answer")

    async def test_all_that_have_claimed_an_item_and_not_ended_are_stopped_by_it(
        self, stage: WorkStage
    ) -> None:
        place, room = Place("chat", "room", "answer"), GroupKey("chat", "room")
        await stage.start()
        runs = [(await stage.emit(number)).runs["step"] for number in (1, 2, 3)]
        for run in runs:
            await stage.runs.own(run, 1, place)
        await stage.end(2)
        await stage.runs.cancel_item(room, "answer")
        assert stage.performer.asked_to_stop == [runs[0], runs[2]]
        await stage.end(1)
        await stage.end(3)
        with pytest.raises(RunUnknown):
            await stage.runs.cancel_item(room, "answer")
        assert not stage.dispatcher.attempts.owned

    async def test_an_item_that_nobody_claimed_stops_nothing(self, stage: WorkStage) -> None:
        await self.begun(stage)
        with pytest.raises(RunUnknown):
            await stage.runs.cancel_item(GroupKey("chat", "room"), "other")
