"""A token that a client gives in band: who it is by that one, and what that one may go on following.

Owns that all subscriptions are judged before anything changes, so that no frame goes to whom it is not for.
Knows no wire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from headwater.errors import HeadwaterError, TooMany
from headwater.peer import Peer
from headwater.server.live.attendance import Attendance, Guest
from headwater.server.live.gate import Ask, Gate, judge
from headwater.streams.fanout.subscription import Subscription

log = logging.getLogger("headwater.socket")

AT_ONCE = 16
"""Subscriptions of one client about which the project's rules are asked at the same time."""

OpenNow = Callable[[], Collection[Subscription]]

Verdicts = Mapping[Subscription, HeadwaterError | None]
"""What stands against each subscription; None where nothing does."""


async def judge_again(gate: Gate, peer: Peer, open_now: OpenNow) -> Verdicts:
    """What the gate says of a peer about all subscriptions that are open, those too that begin meanwhile."""
    verdicts: dict[Subscription, HeadwaterError | None] = {}
    while unjudged := [one for one in open_now() if one not in verdicts][:AT_ONCE]:
        asks = (Ask(peer, one.wish.group, one.wish.item) for one in unjudged)
        answers = await asyncio.gather(*(judge(gate, ask) for ask in asks))
        verdicts.update(zip(unjudged, answers, strict=True))
    return verdicts


class Renewed(NamedTuple):
    """Who a client is by another token, and what stands against its subscriptions."""

    peer: Peer
    verdicts: Verdicts


class Renewals:
    """The tokens that one client gives, one after the other, and its place among the guests."""

    __slots__ = ("_gate", "_guests", "_task")

    def __init__(self, gate: Gate, guests: Attendance) -> None:
        self._gate = gate
        self._guests = guests
        self._task: asyncio.Task[None] | None = None

    def enter(self, peer: Peer, guest: Guest) -> None:
        """The client has come."""
        self._guests.enter(peer, guest)

    def begin(
        self, guest: Guest, token: str, open_now: OpenNow, then: Callable[[Renewed | HeadwaterError], None]
    ) -> None:
        """Ask who the client is by that token, and call `then`, which is to take that over or to tell what
        stands against it."""
        if self._task is not None:
            hint = "Wait for its answer."
            then(TooMany("Another token of this client is being looked at.", hint=hint))
            return
        asking = self._ask(guest.peer, token, open_now, then)
        self._task = asyncio.get_running_loop().create_task(asking)

    def take_over(self, peer: Peer, guest: Guest) -> None:
        """The client is that one now."""
        self._guests.becomes(peer, guest)

    def close(self, guest: Guest) -> None:
        """The client has gone; who it would have been is not asked any more."""
        self._guests.leave(guest)
        if self._task is not None:
            self._task.cancel()

    async def _ask(
        self, peer: Peer, token: str, open_now: OpenNow, then: Callable[[Renewed | HeadwaterError], None]
    ) -> None:
        outcome: Renewed | HeadwaterError
        try:
            while True:
                era = self._guests.era
                known = await self._guests.know_again(peer, token)
                outcome = Renewed(known, await judge_again(self._gate, known, open_now))
                if era == self._guests.era:
                    break
        except HeadwaterError as error:
            outcome = error
        except Exception:
            log.exception("Who asks by another token could not be told")
            outcome = HeadwaterError("The server failed.", hint="The log tells more.")
        finally:
            self._task = None
        then(outcome)
