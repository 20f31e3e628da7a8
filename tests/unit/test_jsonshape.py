"""How much a JSON text holds is known without decoding it, whatever stands in its texts and wherever it is
cut."""

from __future__ import annotations

import gc
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import jsonshape
from headwater.errors import Limit, TooComplex
from headwater.jsonshape import Shape, check_shape, most_values

TEXTS = st.text(st.sampled_from('a,[]{}"\\:'), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXTS, st.integers(-5, 5), st.none()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=30,
)


def count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


def depth(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def shape(values: int, deep: int) -> Shape:
    return Shape(Limit("server.max_body_values", values), Limit("server.max_body_depth", deep))


def fits(text: bytes, values: int, deep: int) -> bool:
    try:
        check_shape(text, shape(values, deep), "body")
    except TooComplex:
        return False
    return True


@given(VALUES, st.integers(1, 20))
def test_what_a_text_holds_is_counted_wherever_it_is_cut(value: Any, piece: int) -> None:
    text = orjson.dumps(value)
    values, deep = count(value), depth(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonshape, "PIECE_BYTES", piece)
        # Cut between its two brackets, an empty list counts for two.
        assert fits(text, values + text.count(b"[]") + text.count(b"{}"), deep)
        assert values == 1 or not fits(text, values - 1, 1000)
        assert deep == 0 or not fits(text, 100_000, deep - 1)
    assert fits(text, values, deep)
    assert values <= most_values(text)


def test_the_error_names_the_setting() -> None:
    with pytest.raises(TooComplex) as caught:
        check_shape(b"[" + b"[]," * 10 + b"[]]", shape(10, 10), "body", "see there")
    assert caught.value.limit == Limit("server.max_body_values", 10)
    assert (caught.value.code, caught.value.status, caught.value.details) == (
        "TOO_COMPLEX",
        413,
        {"limit": 10},
    )
    assert caught.value.hint == "see there"


@pytest.mark.parametrize("text", [b"[" * 100, b'"' + b"\\" * 100, b'"[' * 50, b"\\[" * 50, b"]" * 200])
def test_what_is_no_json_is_measured_somehow(text: bytes) -> None:
    assert fits(text, 10, 10) in (True, False)


@pytest.mark.parametrize(("values", "deep"), [(10, 10), (1000, 1)])
def test_nothing_holds_a_text_that_was_refused(values: int, deep: int) -> None:
    text = orjson.dumps([[]] * 100)
    gc.disable()
    try:
        before = sys.getrefcount(text)
        assert not fits(text, values, deep)
        after = sys.getrefcount(text)
    finally:
        gc.enable()
    assert after == before
