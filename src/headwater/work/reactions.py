"""Steps that react to writes: what a write set off becomes jobs, once each, after the write and in its order.

A write to a stream (or a group of the state) that some step subscribes to leaves an outbox entry in its own
commit, so nothing that was written is forgotten, whatever is killed. The entries are taken in order: each
step's condition is asked in a worker, never in the transaction, and one unit makes the jobs and settles the
entry. Jobs of one item are a lane, so a step sees an item's versions in their order. A chain of reactions
that grows too deep ends as a dead letter. Knows the store's outbox and the dispatcher; no worker but by
`Conditions`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import orjson

from headwater.clock import Clock
from headwater.errors import HeadwaterError
from headwater.logline import Line, tell
from headwater.model import GroupKey, Origin, OutboxEntry, Write
from headwater.storage.base import Store
from headwater.streams.commits import CommitQueue
from headwater.streams.state import STATE
from headwater.work.consumer import Consumer
from headwater.work.dispatcher import Dispatcher
from headwater.work.events import new_id
from headwater.work.job import Ending, Job
from headwater.work.ledger import Ledger
from headwater.work.topics import STATE_TOPIC, STREAM_TOPIC

log = logging.getLogger("headwater.work")

MOST_DEPTH = 16
"""Reactions in a chain: beyond them steps most likely set each other off without end."""
AT_ONCE = 200
"""Entries read together."""
FIRST_WAIT = 0.5
MOST_WAIT = 30.0
"""Seconds after which entries that could not be dealt with are looked at again; doubled each time."""


class Conditions(Protocol):
    """Whoever runs the steps."""

    async def condition(self, consumer: Consumer, reaction: bytes, origin: Origin) -> bool:
        """Whether a step wants a reaction, given as the JSON text of its input. One that fails wants none.
        `origin` is what led to it, itself among the reactions.

        :raises HeadwaterError: it could not be asked now.
        """
        ...


class Reactions:
    """The outbox, emptied. `take` says who reacts; `start` begins."""

    def __init__(
        self,
        store: Store,
        queue: CommitQueue,
        dispatcher: Dispatcher,
        ledger: Ledger,
        conditions: Conditions,
        clock: Clock,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._queue = queue
        self._dispatcher = dispatcher
        self._conditions = conditions
        self._clock = clock
        self._streams: Collection[str] = ()
        self._groups: Collection[str] = ()
        self._wake = asyncio.Event()

    def take(self, topics: Collection[str]) -> None:
        """A generation takes over: writes that these topics name set something off from now on."""
        self._streams = {one.removeprefix(STREAM_TOPIC) for one in topics if one.startswith(STREAM_TOPIC)}
        self._groups = {one.removeprefix(STATE_TOPIC) for one in topics if one.startswith(STATE_TOPIC)}
        some = self._streams or self._groups
        self._queue.on_outbox = self._wake.set
        self._queue.reason = self._reason if some else None
        self._wake.set()

    def _reason(self, write: Write) -> bytes | None:
        """What a write gives its outbox entry: how deep in a chain it is, and behind that the context of who
        caused it, if anybody is known; None where nobody reacts to it."""
        stream, group = write.group
        if stream in self._streams or (stream == STATE and group in self._groups):
            return b"%d%b" % (write.origin.depth, write.origin.auth or b"")
        return None

    async def run(self) -> None:
        """Empty the outbox, again and again, until cancelled."""
        wait = FIRST_WAIT
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.empty()
                wait = FIRST_WAIT
            except HeadwaterError as error:
                log.warning("Reactions wait %g s: %s", wait, error.message)
                await asyncio.sleep(wait)
                wait = min(wait * 2, MOST_WAIT)
                self._wake.set()

    async def empty(self) -> None:
        """Deal with all entries that there are, in their order.

        :raises HeadwaterError: one could not be dealt with now; it and those after it stay.
        """
        while entries := await self._store.outbox(limit=AT_ONCE):
            settling = [await self._deal(entry) for entry in entries]
            await asyncio.gather(*settling)

    async def _deal(self, entry: OutboxEntry) -> asyncio.Future[Any]:
        """Ask who wants an entry, and begin the unit that makes their jobs and settles it."""
        topic = _topic(entry.group)
        deep, brace, context = (entry.reason or b"0").partition(b"{")
        depth, auth = int(deep) + 1, brace + context or None
        reaction = orjson.dumps(_input(entry))
        consumers = self._dispatcher.consumers.of(topic)
        origin = Origin("", entry.origin.trace, depth, auth)
        wanted = [one for one in consumers if await self._wants(one, reaction, origin)]
        jobs = [self._job(one, entry, topic, origin) for one in wanted]
        if depth > MOST_DEPTH:
            return self._end_chain(jobs, reaction, entry)
        return self._dispatcher.accept(jobs, reaction, settles=(entry.id,))

    async def _wants(self, consumer: Consumer, reaction: bytes, origin: Origin) -> bool:
        return not consumer.conditional or await self._conditions.condition(consumer, reaction, origin)

    def _job(self, consumer: Consumer, entry: OutboxEntry, topic: str, origin: Origin) -> Job:
        now = self._clock.now()
        lane = f"{entry.group.stream}\0{entry.group.group}\0{entry.item}"
        return Job(
            id=new_id(now),
            queue=consumer.name,
            topic=topic,
            at=now,
            due=now + consumer.delay,
            lane=lane,
            trace=origin.trace,
            depth=origin.depth,
            auth=origin.auth,
        )

    def _end_chain(self, jobs: list[Job], reaction: bytes, entry: OutboxEntry) -> asyncio.Future[Any]:
        message = f"{MOST_DEPTH} reactions set each other off; this one is not run."
        for job in jobs:
            line = Line(job.queue, job.trace, {"job": job.id, "topic": job.topic})
            tell(log, logging.ERROR, line, "REACTION_LOOP: %s", message)
        ending = Ending("dead", self._clock.now(), "REACTION_LOOP", message)
        return self._ledger.bury(jobs, ending, reaction, entry.id)


def _topic(group: GroupKey) -> str:
    return f"{STATE_TOPIC}{group.group}" if group.stream == STATE else f"{STREAM_TOPIC}{group.stream}"


def _input(entry: OutboxEntry) -> Mapping[str, Any]:
    """What a step is given: `old` and `new` are items, or values of the state; null where there is none."""
    old, new = (None if text is None else orjson.loads(text) for text in (entry.before, entry.after))
    if entry.group.stream == STATE:
        old, new = (None if item is None else item.get("value") for item in (old, new))
    return {
        "type": entry.kind,
        "groupId": entry.group.group,
        "id": entry.item,
        "old": old,
        "new": new,
        "version": entry.version,
    }
