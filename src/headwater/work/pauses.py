"""Which queues are paused, over restarts too: an item of a hidden stream each. Pauses nothing itself; that is
the dispatcher's."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import orjson

from headwater.errors import UnknownStep
from headwater.model import GroupKey, Write
from headwater.storage.base import Store
from headwater.streams.catalog import StreamRules
from headwater.work.dispatcher import Dispatcher
from headwater.work.ledger import Ledger

PAUSED = "headwater.paused"
PAUSED_STREAM = StreamRules(name=PAUSED, hidden=True, history="none")
_QUEUES = GroupKey(PAUSED, "queues")
"""Its only group; the items' ids are the names of queues."""
MOST_PAUSED = 100_000


class Pauses:
    """The paused queues. `read` at the start, then `pause` and `resume`."""

    def __init__(self, store: Store, ledger: Ledger, dispatcher: Dispatcher) -> None:
        self._store = store
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._names: frozenset[str] = frozenset()

    async def read(self) -> frozenset[str]:
        """The names of the queues that are paused.

        :raises StoreUnavailable: the store cannot be read.
        """
        page = await self._store.window(
            _QUEUES, before=None, limit=MOST_PAUSED, limit_bytes=MOST_PAUSED * 1024
        )
        self._names = frozenset(item.id for item in page.items)
        return self._names

    @property
    def names(self) -> frozenset[str]:
        """The queues that start nothing."""
        return self._names

    async def pause(self, step: str) -> bool:
        """Let a step start nothing from now on, or all steps of that name; False where none did before.

        :raises UnknownStep: there is no such step or queue.
        :raises StoreUnavailable: that could not be kept.
        """
        new = [name for name in self._queues_of(step) if name not in self._names]
        for name in new:
            await self._ledger.keep(Write(_QUEUES, name, "set", orjson.dumps({"id": name}), history=False))
            self._set(self._names | {name})
        return bool(new)

    async def resume(self, step: str) -> bool:
        """Let a step start jobs again, or all steps of that name; False where they did already.

        :raises UnknownStep: there is no such step or queue.
        :raises StoreUnavailable: that could not be kept.
        """
        paused = [name for name in self._queues_of(step) if name in self._names]
        for name in paused:
            await self._ledger.keep(Write(_QUEUES, name, "delete", history=False))
            self._set(self._names - {name})
        return bool(paused)

    def _queues_of(self, step: str) -> list[str]:
        """The queues that a name means: one, also one that is paused while its step is gone, or those of the
        steps that share it.

        :raises UnknownStep: it means none.
        """
        meant = self._dispatcher.consumers.of_step(step)
        if step in self._names and step not in meant:
            meant.append(step)
        if not meant:
            check_known(step, self._dispatcher)
            meant.append(step)
        return meant

    def _set(self, names: frozenset[str]) -> None:
        self._names = names
        self._dispatcher.pause(names)


def check_known(step: str, dispatcher: Dispatcher, others: Iterable[str] = ()) -> None:
    """See that there is a queue of that name: a step consumes it, or jobs wait in it, or it is one of others.

    :raises UnknownStep: there is none.
    """
    known = {*dispatcher.consumers.names, *(queue.name for queue in dispatcher.queues if queue.held), *others}
    if step not in known:
        near = get_close_matches(step, sorted(known), n=1)
        hint = f'Is "{near[0]}" meant?' if near else "`headwater queue list` shows all."
        if shared := dispatcher.consumers.of_step(step):
            hint = f"Several steps have that name: write {' or '.join(map(repr, shared))}."
        raise UnknownStep(f'No event or cron step is named "{step}".', hint=hint, step=step)
