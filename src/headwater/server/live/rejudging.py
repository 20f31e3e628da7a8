"""What a reload asks again that changed the project's rules: everybody who follows what they are about.

Owns that each question is asked once, however many ask it, and that few are asked at a time. Streams whose
rules are as they were cost nothing. Knows no wire.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from headwater.model import GroupKey
from headwater.peer import Peer
from headwater.protocol.clients.wire import Wish
from headwater.server.live.gate import Ask, Gate, judge

log = logging.getLogger("headwater.socket")

AT_ONCE = 16
"""Questions to the project's rules at the same time."""


class Followed(Protocol):
    """A subscription that is open."""

    @property
    def wish(self) -> Wish:
        """What is followed."""
        ...


class Follower(Protocol):
    """A session or an event stream."""

    @property
    def peer(self) -> Peer:
        """Who it is now."""
        ...

    def ask_again(self) -> None:
        """What the gate is asked now is to be answered by the rules as they are from now on."""
        ...

    def follows(self, streams: Collection[str]) -> Collection[Followed]:
        """What it follows of these streams."""
        ...

    def take_away(self, followed: Followed) -> None:
        """It may follow that no more; what it has ended meanwhile is passed over."""
        ...


class _Question(NamedTuple):
    """What a rule is asked: it is a function of the context, the group and the item. Of who is `special`,
    the operator or a service, none is asked."""

    special: str
    context: bytes | None
    group: GroupKey
    item: str | None


class Rejudging:
    """Asks again, whenever rules have changed."""

    def __init__(self, gate: Gate, followers: Callable[[], Iterable[Follower]]) -> None:
        self._gate = gate
        self._followers = followers
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, streams: Collection[str]) -> None:
        """The rules of these streams have changed."""
        asked: dict[_Question, list[tuple[Follower, Followed]]] = {}
        for follower in self._followers():
            follower.ask_again()
            for followed in follower.follows(streams):
                question = _question(follower.peer, followed)
                asked.setdefault(question, []).append((follower, followed))
        if asked:
            task = asyncio.get_running_loop().create_task(self._ask(asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _ask(self, asked: dict[_Question, list[tuple[Follower, Followed]]]) -> None:
        left = iter(asked.items())

        async def some() -> None:
            for question, whose in left:
                try:
                    await self._settle(question, whose)
                except Exception:
                    log.exception("Who follows stream %r could not be asked about", question.group.stream)
                    for follower, followed in whose:
                        follower.take_away(followed)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def _settle(self, question: _Question, whose: list[tuple[Follower, Followed]]) -> None:
        """Ask a question, and take away from whom it is refused. Who is somebody else by then is asked by
        itself."""
        peer = whose[0][0].peer
        refused = await judge(self._gate, Ask(peer, question.group, question.item))
        for follower, followed in whose:
            refusal = refused
            while _question(asked := follower.peer, followed) != question:
                refusal = await judge(self._gate, Ask(asked, question.group, question.item))
                if follower.peer is asked:
                    break
            if refusal is not None:
                follower.take_away(followed)


def _question(peer: Peer, followed: Followed) -> _Question:
    special = "operator" if peer.operator else ""
    special = special if peer.service is None else f"service {peer.service.name}"
    return _Question(special, peer.context, followed.wish.group, followed.wish.item)
