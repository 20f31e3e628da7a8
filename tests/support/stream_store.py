"""A store between the code under test and a real one: its calls wait until the test lets them go on.

Each commit and read has two steps that the test may hold apart: it takes effect in the real store, and its
answer reaches the caller. So every order of effects and answers that a busy machine could bring can be made,
without sleeping.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from headwater.errors import HeadwaterError
from headwater.model import GroupKey, Item, Unit, Write
from headwater.storage.base import Page, Store, UnitOutcome

Verb = Literal["commit", "read", "get"]


class Call:
    """One call under way."""

    def __init__(self, verb: Verb, perform: Callable[[], Awaitable[Any]]) -> None:
        self.verb = verb
        self.performed = False
        self.answered = False
        self.fault: HeadwaterError | None = None
        self._perform = perform
        self._result: Any = None
        self._answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def perform(self) -> None:
        """Let it take effect in the real store, or fail there; its caller still waits."""
        self.performed = True
        try:
            if self.fault is not None:
                raise self.fault
            self._result = await self._perform()
        except HeadwaterError as error:
            self.fault = error

    async def finish(self) -> None:
        """Let it take effect, if it has not yet, and let its caller have the answer."""
        if not self.performed:
            await self.perform()
        self.answered = True
        if not self._answer.done():
            if self.fault is None:
                self._answer.set_result(self._result)
            else:
                self._answer.set_exception(self.fault)
        await turns(3)

    async def wait(self) -> Any:
        return await self._answer


class HeldStore:
    """A Store whose `holds` verbs stop at the test's door."""

    def __init__(self, inner: Store, *holds: Verb) -> None:
        self.inner = inner
        self.holds: set[Verb] = set(holds)
        self.calls: list[Call] = []
        self.faults: dict[Verb, HeadwaterError] = {}
        """What verbs raise while they are not held."""

    @property
    def epoch(self) -> str:
        return self.inner.epoch

    @property
    def stamp(self) -> float:
        return self.inner.stamp

    def waiting(self, verb: Verb | None = None) -> list[Call]:
        """The calls that have no answer yet, oldest first."""
        self.calls = [call for call in self.calls if not call.answered]
        return [call for call in self.calls if verb in (None, call.verb)]

    async def release(self) -> None:
        """Hold nothing any more, and let all that waits go on."""
        self.holds.clear()
        while self.waiting():
            for call in self.waiting():
                await call.finish()

    async def _through(self, verb: Verb, perform: Callable[[], Awaitable[Any]]) -> Any:
        if verb in self.holds:
            call = Call(verb, perform)
            self.calls.append(call)
            return await call.wait()
        if verb in self.faults:
            raise self.faults[verb]
        return await perform()

    async def commit(self, units: Sequence[Write | Unit], *, stamp: float) -> Sequence[UnitOutcome]:
        return await self._through("commit", lambda: self.inner.commit(units, stamp=stamp))

    async def get(self, group: GroupKey, item_id: str) -> Item | None:
        return await self._through("get", lambda: self.inner.get(group, item_id))

    async def read(self, group: GroupKey, *, after: int, limit_bytes: int, only: str | None = None) -> Page:
        return await self._through(
            "read", lambda: self.inner.read(group, after=after, limit_bytes=limit_bytes, only=only)
        )

    async def window(self, group: GroupKey, *, before: int | None, limit: int, limit_bytes: int) -> Page:
        return await self._through(
            "read",
            lambda: self.inner.window(group, before=before, limit=limit, limit_bytes=limit_bytes),
        )

    def __getattr__(self, verb: str) -> Any:
        """Verbs that are never held."""
        return getattr(self.inner, verb)

    async def close(self) -> None:
        await self.release()
        await self.inner.close()


async def turns(number: int = 10) -> None:
    """Let the loop run for some turns."""
    for _ in range(number):
        await asyncio.sleep(0)
