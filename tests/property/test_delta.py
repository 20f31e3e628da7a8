"""The difference of two values, applied to the first, gives the second; growth travels as its tail."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from headwater.protocol.clients.delta import apply_delta, delta_between

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-9, 9, width=16).map(lambda number: number + 0.0)
    | st.text(max_size=4)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=4),
)


def same(left: object, right: object) -> bool:
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS) == orjson.dumps(right, option=orjson.OPT_SORT_KEYS)


@given(values, values)
def test_the_operations_between_two_values_lead_from_one_to_the_other(old: object, new: object) -> None:
    operations = orjson.loads(orjson.dumps(delta_between(old, new)))
    before = orjson.dumps(old)
    assert same(apply_delta(old, operations), new)
    assert orjson.dumps(old) == before, "the old value was changed in place"


@given(values)
def test_equal_values_need_no_operation(value: object) -> None:
    assert delta_between(value, orjson.loads(orjson.dumps(value))) == []


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_grown_text_travels_as_its_tail(text: str, tail: str) -> None:
    operations = delta_between({"a": [{"text": text}]}, {"a": [{"text": text + tail}]})
    assert operations == [["a", ["a", 0, "text"], tail]]


@given(st.lists(leaves, min_size=1), st.lists(leaves, min_size=1))
def test_a_grown_list_travels_as_its_tail(entries: list[object], tail: list[object]) -> None:
    assert delta_between({"l": entries}, {"l": entries + tail}) == [["a", ["l"], tail]]


def test_parts_left_alone_stay_the_same_objects() -> None:
    value = {"kept": {"deep": [1]}, "changed": {"n": 1}}
    after = apply_delta(value, delta_between(value, {"kept": {"deep": [1]}, "changed": {"n": 2}}))
    assert after["kept"] is value["kept"]
    assert after["changed"] == {"n": 2}
