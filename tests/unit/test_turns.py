"""However much comes in, a turn of the loop reads so much of it and no more, and every socket gets its
share."""

from __future__ import annotations

import asyncio

from headwater.server.live.turns import SHARE, TURN, Turns


class Flood:
    """A socket with so much to read, which notes in which turn of the loop it reads."""

    def __init__(self, left: int, log: list[tuple[str, int]], name: str = "") -> None:
        self.left, self.log, self.name = left, log, name

    @property
    def has_more(self) -> bool:
        return self.left > 0

    def read(self, most: int) -> int:
        cost = min(most, self.left)
        self.left -= cost
        self.log.append((self.name, cost))
        return cost


async def turns_of(turns: Turns, *floods: Flood) -> list[list[tuple[str, int]]]:
    """What was read in each turn of the loop, until nobody waits."""
    log, found = floods[0].log, list[list[tuple[str, int]]]()
    for flood in floods:
        turns.read(flood)
    while log or len(turns):
        found.append(list(log))
        log.clear()
        await asyncio.sleep(0)
    return found


async def test_what_is_little_is_read_at_once() -> None:
    turns = Turns()
    assert turns.read(Flood(SHARE, log := [], "a"))
    assert (log, len(turns)) == ([("a", SHARE)], 0)


async def test_a_flood_takes_its_share_of_each_turn() -> None:
    found = await turns_of(Turns(), Flood(10 * TURN, [], "a"))
    assert sum(cost for turn in found for _, cost in turn) == 10 * TURN
    assert all(sum(cost for _, cost in turn) < TURN + SHARE for turn in found)


async def test_many_floods_together_take_no_more_of_a_turn_and_none_is_left_out() -> None:
    log: list[tuple[str, int]] = []
    floods = [Flood(2 * SHARE, log, str(number)) for number in range(100)]
    found = await turns_of(Turns(), *floods)
    assert not any(flood.left for flood in floods)
    assert all(sum(cost for _, cost in turn) < TURN + SHARE for turn in found)
    order = [name for turn in found for name, _ in turn]
    assert set(order[: 100 + TURN // SHARE + 1]) == {flood.name for flood in floods}


async def test_who_comes_when_the_turn_is_used_up_waits_for_the_next() -> None:
    log: list[tuple[str, int]] = []
    turns = Turns()
    for _ in range(TURN // SHARE + 1):
        assert turns.read(Flood(SHARE, log))
    assert not turns.read(late := Flood(1, log, "late"))
    assert late.left == 1
    await asyncio.sleep(0)
    assert late.left == 0
    assert turns.read(Flood(1, log))


async def test_behind_every_flood_the_next_one_is_read() -> None:
    turns = Turns()
    for cost in range(1, 4 * TURN, 37):
        await turns_of(turns, Flood(cost, []))
        turns.read(late := Flood(1, []))
        for _ in range(3):
            await asyncio.sleep(0)
        assert late.left == 0


class Faulty(Flood):
    """A socket whose reading fails in its second turn."""

    def read(self, most: int) -> int:
        if self.left <= SHARE:
            raise RuntimeError("a fault of the server")
        return super().read(most)


async def test_a_socket_whose_reading_fails_takes_no_turn_from_the_others() -> None:
    loop, faults = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: faults.append(context.get("exception")))
    turns = Turns()
    turns.read(Faulty(2 * SHARE, []))
    turns.read(other := Flood(10 * TURN, []))
    for _ in range(20):
        await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert (len(faults), other.left) == (1, 0)
