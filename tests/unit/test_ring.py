"""The ring keeps recent changes without a gap, within its bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.streams.fanout.ring import ENTRY_BYTES, Ring, RingBudget
from support.stream_changes import History

BIG = 2**30


def test_an_empty_ring_covers_its_base_alone() -> None:
    ring = Ring(1, RingBudget(BIG, 1000), 5)
    assert (ring.head, ring.covers(5), ring.covers(4), ring.covers(6)) == (5, True, False, False)


def test_what_lies_between_two_versions_comes_in_order() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, 100_000), 0)
    for n in range(5):
        ring.append(history.set("a", n=n))
    assert [advance.change.version for advance in ring.between(1, 4)] == [2, 3, 4]
    assert list(ring.between(5, 5)) == []


def test_the_oldest_leave_when_the_bytes_run_out() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, 3 * (ENTRY_BYTES + 100)), 0)
    for n in range(10):
        ring.append(history.set("a", n=n, text="x" * 50))
    assert ring.head == 10
    assert 6 <= ring.base < 10
    assert not ring.covers(ring.base - 1)


def test_what_an_update_tells_counts_too() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, 3 * (ENTRY_BYTES + 100)), 0)
    for n in range(10):
        ring.append(history.set("a", n=n)._replace(delta=b"x" * 500))
    assert (ring.base, ring.head) == (9, 10)


def test_a_change_above_the_limit_is_not_kept_and_leaves_no_gap() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, 1000), 0)
    ring.append(history.set("a"))
    ring.append(history.set("b", text="x" * 5000))
    assert (ring.base, ring.head) == (2, 2)
    ring.append(history.set("a", n=2))
    assert (ring.base, ring.head) == (2, 3)


def test_a_ring_without_bytes_keeps_nothing() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, 0), 0)
    ring.append(history.set("a"))
    assert (ring.base, ring.head, ring.covers(0), ring.covers(1)) == (1, 1, False, True)


def test_an_update_carries_what_the_item_was_while_that_is_here() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, 100_000), 0)
    first = ring.append(history.set("a", n=1))
    second = ring.append(history.set("a", n=2))
    gone = ring.append(history.delete("a"))
    again = ring.append(history.set("a", n=3))
    assert [advance.before for advance in (first, gone, again)] == [None, None, None]
    assert second.before == first.change.data


def test_what_an_item_was_is_forgotten_with_the_ring() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, ENTRY_BYTES + 100), 0)
    ring.append(history.set("a", n=1))
    ring.append(history.set("b", text="x" * 90))
    assert ring.append(history.set("a", n=2)).before is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400)), max_size=60))
def test_contiguity_and_the_bound_hold_whatever_comes(writes: list[tuple[str, int]]) -> None:
    limit = 2000
    history, ring = History(version=7), Ring(1, RingBudget(BIG, limit), 7)
    for item, size in writes:
        ring.append(history.set(item, text="x" * size))
        kept = list(ring.between(ring.base, ring.head))
        assert [advance.change.version for advance in kept] == list(range(ring.base + 1, ring.head + 1))
        assert ring.head == history.version
        assert sum(len(advance.change.data) + ENTRY_BYTES for advance in kept) <= limit


class TestABudgetOverAllRings:
    SIZE = ENTRY_BYTES + len(b'{"id":"a"}')

    def rings(self, count: int, entries: int) -> tuple[RingBudget, list[Ring], list[History]]:
        budget = RingBudget(entries * self.SIZE, BIG)
        return budget, [Ring(n, budget, 0) for n in range(count)], [History() for _ in range(count)]

    def test_the_quietest_group_gives_way_first(self) -> None:
        budget, rings, histories = self.rings(3, 4)
        for at in (0, 1, 2, 0, 1):
            rings[at].append(histories[at].set("a"))
        assert [ring.base for ring in rings] == [0, 0, 1]
        assert [ring.head for ring in rings] == [2, 2, 1]
        assert budget.used == 4 * self.SIZE

    def test_that_it_is_full_is_told_once_until_half_of_it_was_free(self) -> None:
        told: list[int] = []
        budget = RingBudget(4 * self.SIZE, BIG, lambda: told.append(budget.used))
        ring, other = Ring(1, budget, 0), Ring(2, budget, 0)
        history, small = History(), History()
        for _ in range(9):
            ring.append(history.set("a"))
        other.append(small.set("a"))
        assert len(told) == 1
        ring.close()
        for _ in range(9):
            other.append(small.set("a"))
        assert len(told) == 2

    def test_what_is_larger_than_all_of_it_is_not_kept(self) -> None:
        budget, (ring, other), (history, small) = self.rings(2, 2)
        other.append(small.set("a"))
        ring.append(history.set("b", text="x" * 5000))
        assert (ring.base, ring.head, other.base, budget.used) == (1, 1, 1, 0)

    def test_a_group_that_had_to_give_all_of_it_and_grows_again_gives_way_in_turn(self) -> None:
        budget, (ring, other), (history, small) = self.rings(2, 2)
        ring.append(history.set("b", text="x" * 5000))
        ring.append(history.set("a"))
        other.append(small.set("a"))
        other.append(small.set("a"))
        assert (ring.base, ring.head, other.base) == (2, 2, 0)
        assert budget.used == 2 * self.SIZE

    def test_a_ring_that_ends_gives_its_share_back(self) -> None:
        budget, (ring, other), (history, small) = self.rings(2, 4)
        ring.append(history.set("a"))
        other.append(small.set("a"))
        ring.close()
        assert budget.used == self.SIZE

    def test_many_groups_stay_within_it(self) -> None:
        budget, rings, histories = self.rings(1000, 50)
        for at in [*range(1000), *range(0, 1000, 7)]:
            rings[at].append(histories[at].set("a"))
            assert budget.used <= 50 * self.SIZE
        assert sum(len(ring.between(ring.base, ring.head)) for ring in rings) == 50


def test_versions_that_are_left_out_are_in_no_stretch() -> None:
    history, ring = History(), Ring(1, RingBudget(BIG, BIG), 0)
    ring.append(history.set("a"))
    for n in range(3):
        change = history.set("b", n=n)
    ring.append(change)
    assert [advance.change.version for advance in ring.between(0, 4)] == [1, 4]
    assert [advance.change.version for advance in ring.between(2, 4)] == [4]
    assert (ring.head, ring.covers(2), ring.covers(4)) == (4, True, True)
