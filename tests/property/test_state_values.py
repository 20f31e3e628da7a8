"""What `ctx.state.get` gives in Python is the value itself, and answers those who take it for wrapped."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.worker.statevalues import StateDict, unwrapped
from headwater.worker.values import to_json

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(allow_nan=False)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4)
)
KEYS = st.text(max_size=4).filter(lambda key: key != "data")
DICTS = st.dictionaries(KEYS, VALUES, max_size=5)


class Told:
    """Counts how often somebody asked as old code does."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def ignored() -> None:
    pass


@given(DICTS)
def test_a_dict_answers_old_code_with_itself(plain: dict[str, Any]) -> None:
    told = Told()
    value = unwrapped(plain, told)
    assert value["data"] is value
    assert value.get("data") is value
    assert value.get("data", {}) is value
    assert "data" in value
    assert told.times == 4
    wrapped = value["data"]["data"] if "data" in value["data"] else value["data"]
    assert wrapped == plain


@given(DICTS, KEYS)
def test_in_all_else_it_is_the_dict_that_was_kept(plain: dict[str, Any], key: str) -> None:
    told = Told()
    value = unwrapped(copy.deepcopy(plain), told)
    assert isinstance(value, dict)
    assert value == plain
    assert plain == value
    assert (list(value), len(value), bool(value)) == (list(plain), len(plain), bool(plain))
    assert list(value.items()) == list(plain.items())
    assert list(value.values()) == list(plain.values())
    assert json.dumps(value) == json.dumps(plain)
    assert orjson.dumps(value) == orjson.dumps(plain)
    assert to_json(value) == to_json(plain)
    assert repr(value) == repr(plain)
    assert (key in value, value.get(key), value.get(key, 5)) == (
        key in plain,
        plain.get(key),
        plain.get(key, 5),
    )
    assert (lambda **members: members)(**value) == plain
    assert {**value} == plain
    for made in (dict(value), value.copy(), copy.copy(value), copy.deepcopy(value), value | {}):
        assert (type(made), made) == (dict, plain)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert (type(again), again) == (dict, plain)
    assert told.times == 0


@given(DICTS, VALUES)
def test_it_changes_as_a_dict_does(plain: dict[str, Any], brought: Any) -> None:
    value = unwrapped(dict(plain), ignored)
    value["data"]["new"] = brought
    assert value == plain | {"new": brought}
    value["data"] = brought
    assert (value["data"], value.get("data"), value.pop("data")) == (brought, brought, brought)
    assert value.setdefault("data", 1) == 1
    assert value["data"] == 1
    value.update(other=2)
    del value["other"]
    assert to_json(value) == to_json({**plain, "new": brought, "data": 1})


@given(DICTS)
def test_a_key_that_is_missing_is_missing(plain: dict[str, Any]) -> None:
    value = unwrapped(plain, ignored)
    with pytest.raises(KeyError) as caught:
        value["no such key at all"]
    assert caught.value.args == ("no such key at all",)
    assert 5 not in value


@given(VALUES)
def test_other_values_are_what_they_are(value: Any) -> None:
    given_out = unwrapped(value, ignored)
    assert given_out is value or (isinstance(given_out, StateDict) and "data" not in value)
    held = unwrapped({"data": value, "more": 1}, ignored)
    assert type(held) is dict
    assert held["data"] is value
