"""When a client asks for another token, and when it gives up."""

from __future__ import annotations

import asyncio

from headwater.client.renewal import QUIET_SECONDS, Renewal


async def test_it_asks_until_a_token_is_taken_and_tells_why_there_is_none() -> None:
    outcomes: list[Exception | None] = [OSError("no network"), ValueError(), None]
    taken = asyncio.Event()
    reasons: list[str] = []

    async def give() -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        taken.set()

    renewal = Renewal(give, reasons.append)
    renewal.begin()
    renewal.begin()
    await taken.wait()
    assert (reasons, outcomes) == (["no network", "ValueError"], [])


async def test_who_has_just_been_given_one_waits_for_the_next() -> None:
    given = 0

    async def give() -> None:
        nonlocal given
        given += 1

    now = 0.0
    renewal = Renewal(give, lambda _reason: None, clock=lambda: now)

    async def asked_in_a_few_turns() -> bool:
        before = given
        renewal.begin()
        for _ in range(10):
            await asyncio.sleep(0)
        return given > before

    assert await asked_in_a_few_turns()
    assert not await asked_in_a_few_turns()
    renewal.end()
    now += QUIET_SECONDS
    assert await asked_in_a_few_turns()


async def test_what_nobody_wants_any_more_is_not_asked_for() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def give() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    renewal = Renewal(give, lambda _reason: None)
    renewal.begin()
    await begun.wait()
    renewal.end()
    await ended.wait()
