"""User values become the same JSON whichever way they take."""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import InvalidInput
from headwater.worker.values import MAX_DEPTH, from_json, plain, to_json


class Color(enum.Enum):
    RED = "red"
    ONE = 1


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Data:
    value: Any
    _hidden: int = 0


class Text(str):
    __slots__ = ()


class Number(float):
    __slots__ = ()


SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.text(alphabet=st.characters(categories=["Cs", "Ll"])),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.uuids(),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from([Color.RED, Color.ONE, Level.LOW]),
    st.text().map(Text),
    st.floats().map(Number),
)
KEYS = st.one_of(
    st.text(),
    st.integers(),
    st.booleans(),
    st.none(),
    st.uuids(),
    st.dates(),
    st.sampled_from([*Color, Level.LOW]),
)
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Data, inner),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4).map(collections.UserDict),
        st.lists(inner, max_size=4).map(collections.deque),
        st.sets(st.integers(), max_size=4),
    ),
    max_leaves=20,
)


def loaded(text: bytes) -> Any:
    return orjson.loads(text)


@given(VALUES)
def test_the_fast_way_and_the_slow_one_agree(value: Any) -> None:
    assert loaded(to_json(value)) == loaded(orjson.dumps(plain(value, "data")))


@given(VALUES)
def test_what_came_back_goes_in_again_unchanged(value: Any) -> None:
    text = to_json(value)
    assert to_json(from_json(text)) == to_json(from_json(to_json(from_json(text))))


@given(st.text(alphabet=st.characters(categories=["Cs", "Ll", "So"])))
def test_text_is_always_valid_utf_8(text: str) -> None:
    assert isinstance(loaded(to_json({text: text})), dict)


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '["a\\udc00b"]', "NaN", "[Infinity]", "123456789012345678901234567890"]
)
def test_odd_json_is_read(text: str) -> None:
    assert loaded(to_json(from_json(text.encode()))) is not object


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_an_error(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        from_json(text)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_the_deepest_value_passes_and_a_deeper_one_is_an_error() -> None:
    assert loaded(to_json(nested(MAX_DEPTH - 2)))
    with pytest.raises(InvalidInput, match="deep"):
        to_json(nested(MAX_DEPTH + 10))
    with pytest.raises(InvalidInput, match="deep"):
        to_json(nested(200_000))


def test_a_value_that_holds_itself_is_an_error() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(InvalidInput, match="holds itself"):
        to_json(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [object()]}, "data.a[0] is an object"),
        ({"a": {b"x": 1}}, "data.a has a key of type bytes"),
        (b"x", "data is a bytes"),
        ({"a": 10**5000}, "too many digits"),
        ([lambda: 1], "data[0] is a function"),
        (Data(complex(1, 2)), "data.value is a complex"),
    ],
)
def test_what_has_no_json_form_is_named_by_path_and_type(value: Any, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        to_json(value)
    assert said in caught.value.message


def test_a_model_that_fails_to_dump_is_an_error_too() -> None:
    from pydantic import BaseModel, ConfigDict

    class Model(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        value: Any

    with pytest.raises(InvalidInput, match=r"data\.m"):
        to_json({"m": Model(value=object())})
