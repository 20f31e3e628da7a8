"""What a client holds, and how messages change it."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.client.state import Held, Lost, State


def whole(**items: int) -> State:
    """A live state of items at the versions given, complete at version 10."""
    state = State(None)
    state.begin()
    state.page([[version, version, {"id": item, "n": 1}] for item, version in items.items()], [])
    state.complete(10, "e", None)
    return state


def ids(state: State) -> list[str]:
    return [item["id"] for item in state.items()]


def test_it_shows_nothing_before_it_is_whole() -> None:
    state = State(None)
    state.begin()
    state.page([[1, 1, {"id": "a"}]], [])
    assert state.items() == []

    state.complete(1, "e", None)
    assert ids(state) == ["a"]


def test_items_are_in_the_order_of_their_creation() -> None:
    state = State(None)
    state.begin()
    state.page([[9, 1, {"id": "first"}], [4, 4, {"id": "second"}]][::-1], [])
    state.complete(9, "e", None)

    assert ids(state) == ["first", "second"]


def test_the_last_whole_state_stays_while_it_starts_over() -> None:
    state = whole(a=1)
    state.reset("f")
    state.page([[1, 1, {"id": "b"}]], [])
    assert ids(state) == ["a"]

    state.complete(1, "f", None)
    assert ids(state) == ["b"]
    assert (state.version, state.epoch) == (1, "f")


def test_a_catch_up_that_was_cut_off_leaves_nothing() -> None:
    state = whole(a=1)
    state.page([[11, 11, {"id": "b"}]], [[12, "a"]])
    state.fall_behind()
    state.begin()
    state.complete(10, "e", None)

    assert ids(state) == ["a"]


def test_a_page_does_not_take_back_what_is_newer() -> None:
    state = whole(a=1)
    state.set(11, 1, {"id": "a", "n": 11})
    state.page([[5, 1, {"id": "a", "n": 5}]], [[6, "a"]])
    state.complete(11, "e", None)

    assert state.items() == [{"id": "a", "n": 11}]


def test_a_live_frame_comes_once() -> None:
    state = whole(a=1)

    assert state.set(11, 1, {"id": "a", "n": 2})
    assert not state.set(11, 1, {"id": "a", "n": 3})
    assert not state.gone(10, "a")
    assert state.items() == [{"id": "a", "n": 2}]


def test_live_frames_are_not_taken_while_it_is_behind() -> None:
    state = whole(a=1)
    state.fall_behind()

    assert not state.set(11, 11, {"id": "b"})
    assert state.version == 10


def test_published_states_are_never_changed_in_place() -> None:
    state = whole(a=1)
    before = state.items()
    state.patch(11, "a", [["s", ["n"], 2]])

    assert before == [{"id": "a", "n": 1}]
    assert state.items() == [{"id": "a", "n": 2}]


def test_an_item_deleted_and_set_again_goes_last_whether_or_not_the_delete_was_told() -> None:
    state = whole(a=1, b=2, c=3)
    state.gone(11, "a")
    state.set(12, 12, {"id": "a"})
    state.set(14, 14, {"id": "b"})

    assert ids(state) == ["c", "a", "b"]


def test_an_item_that_was_created_earlier_than_the_last_stands_before_it() -> None:
    state = whole(a=1, d=9)
    assert ids(state) == ["a", "d"]
    state.set(11, 5, {"id": "c"})
    state.set(12, 4, {"id": "b"})

    assert ids(state) == ["a", "b", "c", "d"]
    state.set(13, 13, {"id": "e"})
    assert ids(state) == ["a", "b", "c", "d", "e"]


def test_a_change_costs_the_same_however_much_is_held() -> None:
    """Counted, not timed: what is held is not walked through, and not copied."""

    class Counted(dict[str, Held]):
        walks = 0

        def __iter__(self) -> Any:
            Counted.walks += 1
            return super().__iter__()

        def keys(self) -> Any:
            Counted.walks += 1
            return super().keys()

        values = items = keys

    state = whole(a=1, b=2)
    state.held = Counted(state.held)
    state.set(11, 11, {"id": "c"})
    state.set(12, 1, {"id": "a", "n": 2})
    state.patch(13, "b", [["s", ["n"], 2]])
    state.gone(14, "c")

    assert Counted.walks == 0
    assert isinstance(state.held, Counted), "it was copied"


@pytest.mark.parametrize(("item", "operations"), [("b", []), ("a", [["a", ["none"], "x"]])])
def test_a_patch_that_does_not_fit_tells_that_a_frame_was_lost(item: str, operations: Any) -> None:
    with pytest.raises(Lost):
        whole(a=1).patch(11, item, operations)


def test_a_state_of_one_item_takes_no_other() -> None:
    state = State("a")
    state.begin()
    state.complete(1, "e", None)

    assert not state.set(2, 2, {"id": "b"})
    assert state.set(3, 3, {"id": "a"})
    assert ids(state) == ["a"]


def window() -> State:
    """A window whose floor is 5."""
    state = State(None, size=2)
    state.begin()
    state.page([[5, 5, {"id": "e"}], [6, 6, {"id": "f"}]], [])
    state.complete(6, "e", 5)
    return state


def test_a_window_drops_what_is_below_its_floor() -> None:
    state = window()

    assert not state.set(7, 2, {"id": "b"})
    assert not state.patch(8, "c", [["s", ["n"], 1]])
    assert ids(state) == ["e", "f"]


def test_a_window_grows_downwards_when_it_is_complete_again() -> None:
    state = window()
    state.size, state.filling = 4, True
    state.page([[9, 3, {"id": "c"}], [4, 4, {"id": "d"}]], [], older=True)
    assert ids(state) == ["e", "f"]

    state.complete(9, "e", 3)
    assert ids(state) == ["c", "d", "e", "f"]
    assert state.floor == 3
