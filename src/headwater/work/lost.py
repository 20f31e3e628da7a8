"""Events of steps that the project has no longer: told as a problem, and given up in the end.

Owns since when each such step is gone, over restarts too: an item of a hidden stream each. An event waits for
its step for `[work] lost_step_age` from then on, or from its own time where that is later.
"""

from __future__ import annotations

import asyncio
import logging

import orjson

from headwater.clock import Clock
from headwater.errors import HeadwaterError
from headwater.logline import Line, tell
from headwater.model import GroupKey, Write
from headwater.storage.base import Store
from headwater.streams.catalog import StreamRules
from headwater.work.attempt import Failure
from headwater.work.dispatcher import Dispatcher
from headwater.work.removal import Removal

log = logging.getLogger("headwater.work")

LOST = "headwater.lost"
LOST_STREAM = StreamRules(name=LOST, hidden=True, history="none")
_STEPS = GroupKey(LOST, "steps")
"""Its only group; the items' ids are the names of queues."""
MOST_STEPS = 100_000


class LostSteps:
    """Which queues have jobs and no step. `age` in seconds."""

    def __init__(
        self, store: Store, dispatcher: Dispatcher, removal: Removal, age: float, clock: Clock
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._removal = removal
        self._age = age
        self._clock = clock
        self._since: dict[str, float] = {}
        self._ending: asyncio.Task[None] | None = None
        self._started = False

    async def start(self) -> None:
        """Begin, once the dispatcher has.

        :raises StoreUnavailable: the store cannot be read.
        """
        page = await self._store.window(_STEPS, before=None, limit=MOST_STEPS, limit_bytes=MOST_STEPS * 1024)
        now = self._clock.now()  # Earlier than some of them, where the clock was set back.
        self._since = {item.id: min(orjson.loads(item.data)["since"], now) for item in page.items}
        self._started = True
        self.look()

    def look(self) -> None:
        """See which steps are gone or came back, and give up what has waited for too long. To be called now
        and then."""
        if not self._started:
            return
        now = self._clock.now()
        known = self._dispatcher.consumers
        lost = {
            queue.name: len(queue.held)
            for queue in self._dispatcher.queues
            if queue.held and known.named(queue.name) is None
        }
        for name in lost.keys() - self._since.keys():
            self._miss(name, lost[name], now)
        for name in self._since.keys() - lost.keys():
            del self._since[name]
            self._dispatcher.keep(Write(_STEPS, name, "delete", history=False))
        over = [name for name, since in self._since.items() if now - since >= self._age]
        if over and self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._give_up(over, now - self._age))
            self._ending.add_done_callback(self._gave_up)

    def _miss(self, name: str, count: int, now: float) -> None:
        self._since[name] = now
        text = orjson.dumps({"id": name, "since": now})
        self._dispatcher.keep(Write(_STEPS, name, "set", text, history=False))
        message = (
            'The project has no step "%s" any more, for which %d events wait. They are given up after %s.'
        )
        tell(log, logging.WARNING, Line(name), message, name, count, f"{self._age / 86_400:g} days")

    async def _give_up(self, names: list[str], due_by: float) -> None:
        for name in names:
            failure = Failure("STEP_LOST", f'The project has had no step "{name}" for too long.')
            await self._removal.give_up(name, failure, due_by)

    def _gave_up(self, ended: asyncio.Task[None]) -> None:
        self._ending = None
        if not ended.cancelled() and isinstance(error := ended.exception(), HeadwaterError):
            log.warning("Events of a step that is gone are given up later: %s", error.message)

    def close(self) -> None:
        """Look no more. What was not given up yet is found at the next start."""
        self._started = False
        if self._ending is not None:
            self._ending.cancel()
