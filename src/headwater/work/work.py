"""All work of a server, put together: jobs, events, cron. Owns the order in which they begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from headwater.clock import Clock, ForwardClock
from headwater.config import WorkSettings
from headwater.errors import Limit
from headwater.holdings import Holdings
from headwater.observe import SILENT, Observer
from headwater.storage.base import Store
from headwater.streams.catalog import StreamRules
from headwater.streams.commits import CommitQueue
from headwater.work.attempt import Performer
from headwater.work.consumer import Consumer, Consumers
from headwater.work.cron import CRON_STREAM, Cron, CronJob
from headwater.work.dead_letters import DeadLetters
from headwater.work.dispatcher import Dispatcher
from headwater.work.events import Events
from headwater.work.job import streams_of_work
from headwater.work.ledger import Ledger
from headwater.work.lost import LOST_STREAM, LostSteps
from headwater.work.overview import Overview
from headwater.work.pauses import PAUSED_STREAM, Pauses
from headwater.work.reactions import Conditions, Reactions
from headwater.work.removal import Removal
from headwater.work.runs import Runs
from headwater.work.teller import Teller

LOOK_SECONDS = 30.0
"""How often everything that waits for a time looks at the clock, at least: it may be set."""


def hidden_streams(settings: WorkSettings) -> tuple[StreamRules, ...]:
    """The server's own streams that work is kept in."""
    return (*streams_of_work(settings), CRON_STREAM, PAUSED_STREAM, LOST_STREAM)


class Steps(Performer, Conditions, Protocol):
    """Whoever runs the steps."""


class Work:
    """What outlives its request. `start` once the project is loaded, `close` before the commit queue ends."""

    def __init__(
        self,
        store: Store,
        queue: CommitQueue,
        steps: Steps,
        settings: WorkSettings,
        clock: Clock,
        observer: Observer = SILENT,
    ) -> None:
        """What waits does so by a clock that never goes back; what is kept, and cron, by that of the wall.

        :raises ConfigError: the time zone of the settings is none.
        """
        self._settings = settings
        steady = ForwardClock(clock)
        ledger = Ledger(store, queue, settings, clock)
        teller = Teller(observer)
        self.dispatcher = Dispatcher(ledger, steps, settings, steady, teller)
        self.events = Events(self.dispatcher, settings, steady)
        self.runs = Runs(self.dispatcher, ledger, settings)
        self.reactions = Reactions(store, queue, self.dispatcher, ledger, steps, steady)
        self.cron = Cron(self.dispatcher, store, settings, clock)
        self.overview = Overview(store, ledger, self.dispatcher, self.cron)
        self.pauses = Pauses(store, ledger, self.dispatcher)
        self.dead_letters = DeadLetters(store, queue, self.dispatcher, steady)
        self.removal = Removal(self.dispatcher, ledger, teller, steady)
        self.lost = LostSteps(store, self.dispatcher, self.removal, settings.lost_step_age, steady)

    def tell_holdings(self, holdings: Holdings) -> None:
        """Tell of the waiting events that are held beside the store."""
        limit = Limit("work.cache_bytes", self._settings.cache_bytes)
        holdings.add("waiting events", limit, lambda: self.dispatcher.cached_bytes)

    def take(self, consumers: Iterable[Consumer], cron_jobs: Iterable[CronJob]) -> None:
        """A generation takes over."""
        taken = Consumers(consumers)
        self.dispatcher.consume(taken)
        self.reactions.take(set(taken.topics))
        self.cron.take(cron_jobs)
        self.lost.look()

    async def start(self) -> None:
        """Take up what the store holds, and begin.

        :raises StoreUnavailable: the store cannot be read.
        """
        await self.dispatcher.start(await self.pauses.read())
        await self.cron.start()
        await self.lost.start()

    @property
    def looks(self) -> Mapping[str, Callable[[], None]]:
        """What waits for a time, and how to have it look at the clock. Each sets its own timer for what it
        knows of; `keep_looking` is for clocks that are set, and for timers that a fault has ended."""
        return {
            "looking for cron": self.cron.look,
            "looking for jobs": self.dispatcher.look,
            "looking for steps that are gone": self.lost.look,
        }

    def rest(self) -> None:
        """Begin nothing more: the server is ending. What runs goes on, and what is emitted is kept."""
        self.cron.close()
        self.dispatcher.rest()

    def stop(self) -> asyncio.Task[None]:
        """Begin nothing more. The task is done when all that runs has ended or was handed on, which whoever
        performs must see to."""
        self.rest()
        self.lost.close()
        self.removal.close()
        return asyncio.get_running_loop().create_task(self.dispatcher.close())


async def keep_looking(look: Callable[[], None]) -> None:
    """Look at the clock now and then, until cancelled."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        look()
