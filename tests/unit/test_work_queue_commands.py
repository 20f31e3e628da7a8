"""What people ask of queues and tell them: numbers, dead letters, pauses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from headwater.config import WorkSettings
from headwater.errors import InvalidInput, JobUnknown, QueueFull, UnknownStep
from headwater.model import Origin
from headwater.operating.methods import work_methods
from headwater.storage.memory import MemoryStore
from headwater.work.attempt import HandedOn
from headwater.work.consumer import Consumer
from headwater.work.cron import CronJob
from headwater.work.events import Emission
from headwater.work.job import PAYLOADS
from headwater.work.work import Work
from support.stream_store import HeldStore, turns
from support.work_stage import BROKEN, WorkStage, consumer

DAY = 86_400.0


class Site(WorkStage):
    """All of a server's work, and the methods by which commands reach it."""

    def __init__(self, store: HeldStore | MemoryStore, **settings: Any) -> None:
        super().__init__(store, **settings)
        self.work = Work(store, self.queue, self.performer, self.settings, self.clock)
        self.dispatcher = self.work.dispatcher
        self.events = self.work.events
        self.methods = work_methods(self.work)

    async def start(self, *consumers: Consumer, cron: tuple[CronJob, ...] = ()) -> None:
        self.work.take(consumers or (consumer(),), cron)
        await self.work.start()
        await self.settle()

    async def ask(self, method: str, **args: Any) -> list[Any]:
        answer = [entry async for entry in self.methods[method](args)]
        await self.settle()
        return answer

    async def numbers(self, step: str = "step") -> tuple[int, int, int, int]:
        """Waiting, running, retrying, dead."""
        (queue,) = [queue for queue in await self.ask("queue.list") if queue["step"] == step]
        return queue["waiting"], queue["running"], queue["retrying"], queue["dead"]

    async def kill(self, *data: Any) -> None:
        """Let events of a step without retries die."""
        for one in data:
            await self.emit(one)
            await self.end(one, BROKEN)

    async def close(self) -> None:
        self.work.cron.close()
        self.work.lost.close()
        self.work.removal.close()
        await super().close()


@pytest.fixture
async def store() -> AsyncGenerator[MemoryStore]:
    store = MemoryStore()
    yield store
    await store.close()


@pytest.fixture
async def site(store: MemoryStore) -> AsyncGenerator[Site]:
    site = Site(store)
    yield site
    await site.close()


async def test_each_queue_tells_what_waits_runs_and_is_tried_again(site: Site) -> None:
    await site.start(consumer(concurrency=2), consumer("idle", topics=("other",)))
    for number in range(4):
        await site.emit(number)
    assert await site.numbers() == (2, 2, 0, 0)
    await site.end(0, BROKEN)
    assert await site.numbers() == (1, 2, 1, 0)
    await site.end(1)
    assert await site.numbers() == (0, 2, 1, 0)
    await site.pass_time(10)
    await site.end(2)
    assert await site.numbers() == (0, 2, 0, 0)
    assert await site.numbers("idle") == (0, 0, 0, 0)


async def test_the_age_of_the_oldest_and_the_next_time_are_told(site: Site) -> None:
    await site.start(
        consumer(), Consumer("tick", "steps/tick.py", (), 0, 1), cron=(CronJob("tick", "* * * * *"),)
    )
    at = site.clock.time
    await site.emit("a")
    await site.pass_time(5)
    await site.emit("b")
    (step, tick) = await site.ask("queue.list")
    assert (step["kind"], step["next"]) == ("event", None)
    assert step["oldest"] == pytest.approx(at, abs=0.001)
    assert (tick["kind"], tick["oldest"]) == ("cron", None)
    assert site.clock.time < tick["next"] <= site.clock.time + 60


async def test_what_is_tried_again_is_known_as_such_after_a_restart(store: MemoryStore) -> None:
    first = Site(store)
    await first.start(consumer(concurrency=2))
    for number in range(3):
        await first.emit(number)
    await first.end(0, BROKEN)
    await first.close()
    second = Site(store)
    second.clock.time = first.clock.time
    await second.start(consumer(concurrency=1))
    assert await second.numbers() == (1, 1, 1, 0)
    await second.close()


async def test_dead_letters_are_listed_the_newest_first_without_their_data(site: Site) -> None:
    await site.start(consumer(retries=0), consumer("other", topics=("o",), retries=0))
    await site.kill(1, 2, 3)
    await site.emit(4, "o")
    await site.end(4, BROKEN)
    letters = await site.ask("queue.dead")
    assert [letter["step"] for letter in letters] == ["other", "step", "step", "step"]
    assert letters[1]["at"] >= letters[3]["at"]
    assert letters[0]["error"] == {"code": "HANDLER_FAILED", "message": "It broke."}
    assert all("data" not in letter for letter in letters)
    assert [one["id"] for one in await site.ask("queue.dead", step="step", limit=1)] == [letters[1]["id"]]
    with pytest.raises(InvalidInput):
        await site.ask("queue.dead", limit=0)


async def test_all_of_one_event_is_shown_wherever_it_is(site: Site) -> None:
    await site.start(consumer(retries=1, concurrency=1))
    large = "x" * 5000
    await site.emit(large)
    (job,) = await site.jobs()
    (shown,) = await site.ask("queue.show", id=job["id"])
    assert (shown["status"], shown["data"], shown["kept"]) == ("running", large, [])
    await site.end(large, BROKEN)
    (shown,) = await site.ask("queue.show", id=job["id"])
    assert (shown["status"], shown["error"]) == ("retrying", "It broke.")
    await site.pass_time(10)
    await site.end(large, BROKEN)
    (shown,) = await site.ask("queue.show", id=job["id"])
    assert (shown["status"], shown["data"], shown["attempts"]) == ("dead", large, 2)
    assert shown["error"]["traceback"] == "Traceback"
    await site.emit("well")
    (job,) = await site.jobs()
    await site.end("well")
    (shown,) = await site.ask("queue.show", id=job["id"])
    assert shown["status"] == "done"
    with pytest.raises(JobUnknown):
        await site.ask("queue.show", id="nothing")


async def test_a_dead_event_is_tried_again_as_if_it_were_new(site: Site) -> None:
    await site.start(consumer(retries=0))
    await site.kill("x")
    (letter,) = await site.dead()
    assert await site.ask("queue.retry", id=letter["id"]) == [{"retried": 1}]
    assert site.performer.log == [('"x"', 1), ('"x"', 1)]
    assert await site.numbers() == (0, 1, 0, 0)
    with pytest.raises(JobUnknown):
        await site.ask("queue.retry", id=letter["id"])
    await site.end("x")
    assert await site.numbers() == (0, 0, 0, 0)
    assert site.dispatcher.size == 0


async def test_a_dead_event_tried_again_is_as_deep_in_a_chain_as_before(site: Site) -> None:
    await site.start(consumer(retries=0))
    await site.emit("x", origin=Origin("emitter", "trace", 7))
    await site.end("x", BROKEN)
    (letter,) = await site.dead()
    await site.ask("queue.retry", id=letter["id"])
    ((job, _, _),) = site.performer.held.values()
    assert job.depth == 7


async def test_an_event_keeps_who_caused_it_and_shows_it_to_nobody(
    site: Site,
) -> None:
    await site.start(consumer(retries=1))
    origin = Origin("emitter", "trace", auth=b'{"user":"ada"}')
    await site.events.emit(Emission("t", b'"x"', origin=origin))
    await site.settle()
    (job,) = await site.jobs()
    assert job["auth"] == {"user": "ada"}
    assert all("auth" not in one for one in await site.ask("queue.show", id=job["id"]))
    await site.end("x", BROKEN)
    await site.pass_time(10)
    await site.end("x", BROKEN)
    assert all("auth" not in one for one in await site.ask("queue.dead"))
    await site.ask("queue.retry", id=job["id"])
    ((again, _, _),) = site.performer.held.values()
    assert again.auth == b'{"user":"ada"}'


async def test_a_dead_event_is_taken_up_once_by_two_who_try_it_at_the_same_time(store: MemoryStore) -> None:
    held = HeldStore(store)
    site = Site(held)
    await site.start(consumer(retries=0))
    await site.kill("x")
    (letter,) = await site.dead()
    held.holds.add("commit")
    both = [site.work.dead_letters.retry(letter["id"]) for _ in range(2)]
    tasks = [asyncio.ensure_future(one) for one in both]
    await turns()
    await held.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await site.settle()

    assert sum(result is None for result in results) == 1
    assert site.performer.running == ['"x"']
    assert site.dispatcher.size == 1
    await site.close()


async def test_all_dead_events_are_tried_again_in_the_order_in_which_they_died(site: Site) -> None:
    await site.start(consumer(retries=0, concurrency=1), consumer("other", topics=("o",), retries=0))
    await site.kill(*range(250))
    await site.emit("o", "o")
    await site.end("o", BROKEN)
    site.performer.log.clear()
    assert sum(entry["retried"] for entry in await site.ask("queue.retry", step="step")) == 250
    for number in range(250):
        await site.end(number)
    assert [data for data, _ in site.performer.log] == [str(number) for number in range(250)]
    assert await site.numbers("other") == (0, 0, 0, 1)
    assert await site.ask("queue.retry") == [{"retried": 1}]


async def test_no_more_are_tried_again_than_may_wait(store: MemoryStore) -> None:
    site = Site(store, settings=WorkSettings(max_queued=1))
    await site.start(consumer(retries=0))
    await site.kill(1)
    await site.emit(2)
    with pytest.raises(QueueFull):
        await site.ask("queue.retry")
    assert await site.numbers() == (0, 1, 0, 1)
    await site.close()


async def test_dead_events_are_thrown_away(site: Site) -> None:
    await site.start(consumer(retries=0), consumer("other", topics=("o",), retries=0))
    await site.kill(*range(120))
    await site.emit("o", "o")
    await site.end("o", BROKEN)
    purged = await site.ask("queue.purge", what="dead", step="step")
    assert sum(entry["purged"] for entry in purged) == 120
    assert await site.numbers() == (0, 0, 0, 0)
    assert await site.numbers("other") == (0, 0, 0, 1)
    with pytest.raises(InvalidInput):
        await site.ask("queue.purge", what="everything")


async def test_a_paused_step_starts_nothing_until_it_goes_on(site: Site) -> None:
    await site.start(consumer(concurrency=1))
    await site.emit(1)
    assert await site.ask("queue.pause", step="step") == [{"changed": True}]
    assert await site.ask("queue.pause", step="step") == [{"changed": False}]
    await site.emit(2)
    await site.end(1)
    assert site.performer.running == []
    assert (await site.ask("queue.list"))[0]["paused"]
    assert await site.ask("queue.resume", step="step") == [{"changed": True}]
    assert await site.ask("queue.resume", step="step") == [{"changed": False}]
    assert site.performer.running == ["2"]


async def test_steps_of_one_name_are_paused_together_or_one_by_one(site: Site) -> None:
    names = [f"Bill (steps/{file}_step.py)" for file in ("a", "b")]
    await site.start(*(replace(consumer(file), name=name) for file, name in zip("ab", names, strict=True)))
    assert await site.ask("queue.pause", step="Bill") == [{"changed": True}]
    await site.emit(1)
    assert site.performer.running == []
    assert await site.ask("queue.resume", step=names[0]) == [{"changed": True}]
    assert site.performer.running == ["1"]
    assert await site.ask("queue.resume", step="Bill") == [{"changed": True}]
    assert site.performer.running == ["1", "1"]
    assert await site.ask("queue.resume", step="Bill") == [{"changed": False}]
    with pytest.raises(UnknownStep) as caught:
        await site.ask("queue.running", step="Bill")
    assert all(repr(name) in caught.value.hint for name in names)


async def test_a_pause_lasts_over_a_restart(store: MemoryStore) -> None:
    first = Site(store)
    await first.start()
    await first.ask("queue.pause", step="step")
    await first.emit(1)
    await first.close()
    second = Site(store)
    await second.start()
    assert second.performer.running == []
    await second.ask("queue.resume", step="step")
    assert second.performer.running == ["1"]
    await second.close()


async def test_a_step_that_there_is_not_cannot_be_paused(site: Site) -> None:
    await site.start(consumer("Bill"))
    for method in ("queue.pause", "queue.resume"):
        with pytest.raises(UnknownStep) as caught:
            await site.ask(method, step="Bll")
        assert caught.value.hint == 'Is "Bill" meant?'


async def test_nothing_is_asked_about_a_step_that_there_is_not(site: Site) -> None:
    await site.start(consumer("Bill", retries=0))
    for method, args in (
        ("queue.running", {}),
        ("queue.dead", {}),
        ("queue.retry", {}),
        ("queue.purge", {"what": "dead"}),
        ("queue.purge", {"what": "waiting"}),
    ):
        with pytest.raises(UnknownStep) as caught:
            await site.ask(method, step="Bll", **args)
        assert caught.value.hint == 'Is "Bill" meant?'
        await site.ask(method, step="Bill", **args)


async def test_the_dead_events_of_a_step_that_is_gone_can_be_asked_for(site: Site) -> None:
    await site.start(consumer(retries=0))
    await site.kill(1)
    site.work.take((consumer("other"),), ())
    (letter,) = await site.ask("queue.dead", step="step")
    assert letter["topic"] == "t"
    assert await site.ask("queue.purge", what="dead", step="step") == [{"purged": 1}]


async def test_an_emit_tells_who_takes_it(site: Site) -> None:
    await site.start(consumer("one"), consumer("two"))
    (done,) = await site.ask("emit", topic="t", data='{"n": 1}')
    assert list(done["runs"]) == ["one", "two"]
    assert site.performer.running == ['{"n": 1}'] * 2
    (job,) = await site.jobs("one")
    assert (job["id"], job["trace"]) == (done["runs"]["one"], done["trace"])
    assert (await site.ask("emit", topic="nobody", data="1"))[0]["runs"] == {}


async def test_an_emit_is_refused_as_one_of_a_step_is(site: Site) -> None:
    await site.start()
    for wrong in ({"data": "{"}, {"data": "1", "delay": -1}, {"data": "1", "delay": "x"}, {"data": 1}):
        with pytest.raises(InvalidInput):
            await site.ask("emit", topic="t", **wrong)
    with pytest.raises(InvalidInput):
        await site.ask("emit", data="1")


async def test_an_emit_has_delay_key_and_group(site: Site) -> None:
    await site.start(consumer(fifo=True))
    await site.ask("emit", topic="t", data="1", delay=5, key="k", group="g")
    await site.ask("emit", topic="t", data="2", key="k")
    (job,) = await site.jobs()
    assert (job["group"], job["due"]) == ("g", site.clock.time + 5)


async def test_a_run_is_cancelled_wherever_it_is(site: Site) -> None:
    await site.start(consumer(concurrency=1), consumer("other", topics=("o",)))
    for data in (1, 2):
        await site.emit(data)
    running, waiting = (job["id"] for job in await site.jobs())
    assert [run["id"] for run in await site.ask("queue.running")] == [running]
    assert await site.ask("queue.running", step="other") == []
    assert await site.ask("cancel", run=waiting) == [{"cancelled": True}]
    assert await site.numbers() == (0, 1, 0, 0)
    await site.ask("cancel", run=running)
    site.performer.end("1", HandedOn())
    await site.settle()
    assert await site.numbers() == (0, 0, 0, 0)


async def test_what_waits_is_thrown_away_and_what_runs_is_left_alone(site: Site) -> None:
    await site.start(consumer(concurrency=1, fifo=True), consumer("other", topics=("o",), concurrency=1))
    large = "x" * 5000
    for number in range(150):
        await site.emit(number)
    await site.emit(large, delay=60)
    for number in (1, 2):
        await site.emit(number, "o")
    purged = await site.ask("queue.purge", what="waiting", step="step")
    assert sum(entry["purged"] for entry in purged) == 150
    assert await site.numbers() == (0, 1, 0, 0)
    assert await site.numbers("other") == (1, 1, 0, 0)
    assert await site.kept(PAYLOADS) == []
    assert len(await site.jobs()) == 1
    assert await site.done() == []
    await site.end(0)
    await site.emit("next")
    assert '"next"' in site.performer.running
    assert site.dispatcher.size == 3


async def test_an_event_that_failed_can_be_thrown_away(site: Site) -> None:
    await site.start()
    await site.emit(1)
    await site.end(1, BROKEN)
    assert await site.numbers() == (0, 0, 1, 0)
    assert await site.ask("queue.purge", what="waiting") == [{"purged": 1}]
    assert await site.numbers() == (0, 0, 0, 0)
    await site.pass_time(60)
    assert len(site.performer.log) == 1


async def test_events_of_a_step_that_is_gone_are_told_and_die_in_the_end(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await site.start(consumer("Bill", concurrency=1))
    for number in (1, 2):
        await site.emit(number)
    site.work.take([consumer("other")], [])
    assert 'no step "Bill" any more, for which 2 events wait. They are given up after 7 days.' in caplog.text
    assert (await site.ask("queue.list"))[0]["kind"] == "lost"
    await site.pass_time(7 * DAY - 1)
    site.work.lost.look()
    await site.settle()
    assert await site.numbers("Bill") == (1, 1, 0, 0)
    await site.pass_time(1)
    site.work.lost.look()
    await site.settle()
    assert await site.numbers("Bill") == (0, 1, 0, 1)
    (letter,) = await site.dead("Bill")
    assert (letter["error"]["code"], letter["data"]) == ("STEP_LOST", 2)


async def test_a_step_that_comes_back_finds_its_events(site: Site) -> None:
    await site.start(consumer("Bill", concurrency=1))
    for number in (1, 2):
        await site.emit(number)
    site.work.take([], [])
    await site.pass_time(6 * DAY)
    site.work.take([consumer("Bill")], [])
    await site.settle()
    assert site.performer.running == ["1", "2"]
    site.work.take([], [])
    await site.pass_time(2 * DAY)
    site.work.lost.look()
    await site.settle()
    assert await site.dead("Bill") == []


async def test_how_long_a_step_is_gone_is_known_after_a_restart(store: MemoryStore) -> None:
    first = Site(store)
    await first.start(consumer("Bill"))
    await first.emit(1, delay=1)
    first.work.take([], [])
    await first.pass_time(6 * DAY)
    await first.close()
    second = Site(store)
    second.clock.time = first.clock.time + DAY + 1
    await second.start(consumer("other"))
    assert await second.numbers("Bill") == (0, 0, 0, 1)
    await second.close()


async def test_a_dead_event_tried_again_for_a_step_that_is_gone_waits_its_own_time(site: Site) -> None:
    await site.start(consumer("Bill", retries=0))
    await site.kill("x")
    await site.emit("y", delay=1)
    site.work.take([], [])
    await site.pass_time(8 * DAY)
    site.work.lost.look()
    await site.settle()
    first, _ = await site.dead("Bill")
    await site.ask("queue.retry", id=first["id"])
    site.work.lost.look()
    await site.settle()
    assert await site.numbers("Bill") == (1, 0, 0, 1)
    await site.pass_time(7 * DAY)
    site.work.lost.look()
    await site.settle()
    assert await site.numbers("Bill") == (0, 0, 0, 2)
