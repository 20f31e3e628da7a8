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
        """Let a queue start nothing from now on; False where it did not before.

        :raises UnknownStep: there is no such queue.
        :raises StoreUnavailable: that could not be kept.
        """
        if step in self._names:
            return False
        check_known(step, self._dispatcher)
        text = orjson.dumps({"id": step})
        await self._ledger.keep(Write(_QUEUES, step, "set", text, history=False))
        self._set(self._names | {step})
        return True

    async def resume(self, step: str) -> bool:
        """Let a queue start jobs again; False where it did already.

        :raises UnknownStep: there is no such queue.
        :raises StoreUnavailable: that could not be kept.
        """
        if step not in self._names:
            check_known(step, self._dispatcher)
            return False
        await self._ledger.keep(Write(_QUEUES, step, "delete", history=False))
        self._set(self._names - {step})
        return True

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
        raise UnknownStep(f'No event or cron step is named "{step}".', hint=hint, step=step)
