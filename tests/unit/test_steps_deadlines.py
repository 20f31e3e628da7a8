"""When what takes too long is ended."""

from __future__ import annotations

import asyncio

from headwater.steps.deadlines import Deadlines


async def test_what_does_not_end_in_time_expires_once_and_in_order() -> None:
    expired: list[str] = []
    everything = asyncio.Event()

    def expire(name: str) -> None:
        expired.append(name)
        if len(expired) == 3:
            everything.set()

    deadlines = Deadlines(0.01, expire)
    for name in ("a", "in time", "b", "c"):
        deadlines.begin(name)
    deadlines.end("in time")
    await everything.wait()
    deadlines.end("a")
    assert expired == ["a", "b", "c"]


async def test_what_begins_while_another_is_watched_has_its_whole_time() -> None:
    loop = asyncio.get_running_loop()
    expired: dict[str, float] = {}
    last = asyncio.Event()

    def expire(name: str) -> None:
        expired[name] = loop.time()
        if name == "second":
            last.set()
        elif name == "first":
            begun["second"] = loop.time()
            deadlines.begin("second")

    begun: dict[str, float] = {}
    deadlines = Deadlines(0.02, expire)
    deadlines.begin("first")
    await last.wait()
    assert expired["second"] - begun["second"] >= 0.019


async def test_what_has_begun_may_end_all_the_others() -> None:
    expired: list[str] = []
    first = asyncio.Event()

    def expire(name: str) -> None:
        expired.append(name)
        deadlines.end("ended by the first")
        first.set()

    deadlines = Deadlines(0.01, expire)
    deadlines.begin("first")
    await first.wait()
    deadlines.begin("in time")
    deadlines.end("in time")
    assert expired == ["first"]
