"""The lines of what no worker can take yet: who stands in which, and how many of a kind may."""

from __future__ import annotations

from typing import Any, cast

from headwater.errors import HeadwaterError, Overloaded
from headwater.model import Origin
from headwater.steps.workers.invocation import Allowance, Invocation
from headwater.steps.workers.waiting import Reason, Waiting


def invocation(number: int, file: str, allowance: Allowance | None = None) -> Invocation:
    made = Invocation(file, Origin(file), cast(Any, None), cast(Any, None), allowance=allowance)
    made.id = number
    return made


def overloaded(most: int) -> HeadwaterError:
    return Overloaded(f"{most} wait")


async def test_what_waits_for_one_reason_stands_in_one_line_in_order() -> None:
    waiting = Waiting()
    first, second, other, withdrawn = (invocation(n, "ab"[n == 3]) for n in range(1, 5))
    withdrawn.withdrawals = 1
    for one in (first, second, other, withdrawn):
        waiting.add(one)
    assert waiting.reasons() == [Reason("a", False), Reason("b", False), Reason("a", True)]
    assert waiting.first(Reason("a", False)) is first
    waiting.discard(first)
    assert waiting.first(Reason("a", False)) is second
    assert waiting.count(Reason("a", False)) == 1


async def test_a_line_that_was_served_is_looked_at_last() -> None:
    waiting = Waiting()
    for number, file in enumerate("abc"):
        waiting.add(invocation(number, file))
    waiting.served(Reason("a", False))
    assert [reason.file for reason in waiting.reasons()] == ["b", "c", "a"]
    waiting.served(Reason("gone", False))


async def test_an_empty_line_is_gone() -> None:
    waiting = Waiting()
    one = invocation(1, "a")
    waiting.add(one)
    assert one in waiting
    waiting.discard(one)
    waiting.discard(one)
    assert not waiting
    assert one not in waiting
    assert waiting.first(Reason("a", False)) is None


async def test_each_kind_has_an_allowance_of_its_own() -> None:
    waiting = Waiting()
    requests, checks = Allowance(2, overloaded), Allowance(2, overloaded)
    for number in range(2):
        waiting.add(invocation(number, "a", requests))
    waiting.add(invocation(2, "a"))
    refusal = requests.refusal()
    assert refusal is not None
    assert refusal.message == "2 wait"
    assert checks.refusal() is None
    for one in list(waiting.take_all()):
        assert one.file == "a"
    assert requests.refusal() is None
    assert requests.waiting == 0
