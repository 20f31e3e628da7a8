"""Which steps are known to block, and how they get out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from headwater.clock import SystemClock
from headwater.config import Settings
from headwater.model import Origin
from headwater.steps.workers.blocking import LEAST_CLEAN, Verdicts
from headwater.steps.workers.invocation import Invocation


def verdicts() -> Verdicts:
    return Verdicts(Settings(project=Path()).workers, SystemClock(), [], [])


def run(judge: Verdicts, *, blocked: bool = False) -> bool:
    invocation = Invocation("a", Origin("a"), cast(Any, None), cast(Any, None))
    invocation.started, invocation.blocked = True, blocked
    return judge.ended(invocation)


async def test_a_step_that_blocks_is_kept_apart_until_it_has_not_for_a_long_time() -> None:
    judge = verdicts()
    assert judge.blocks("a")
    assert not judge.blocks("a")
    assert judge.is_apart("a")
    assert not any(run(judge) for _ in range(LEAST_CLEAN - 1))
    assert run(judge)
    assert not judge.is_apart("a")


async def test_only_times_in_a_row_count() -> None:
    judge = verdicts()
    judge.blocks("a")
    for _ in range(5):
        assert not any(run(judge) for _ in range(LEAST_CLEAN - 1))
        assert not run(judge, blocked=True)
    assert judge.is_apart("a")


async def test_a_step_that_blocks_again_must_prove_itself_for_twice_as_long() -> None:
    judge = verdicts()
    judge.blocks("a")
    assert [run(judge) for _ in range(LEAST_CLEAN)][-1]
    judge.blocks("a")
    assert not any(run(judge) for _ in range(2 * LEAST_CLEAN - 1))
    assert run(judge)


async def test_where_there_are_lanes_a_verdict_stays() -> None:
    judge = verdicts()
    judge.has_lanes = True
    judge.blocks("a")
    assert not any(run(judge) for _ in range(2 * LEAST_CLEAN))
    assert judge.blocking == {"a"}
