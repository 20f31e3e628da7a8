"""What steps write has a bound on its JSON values, whatever its bytes: decoding it holds up everybody
else."""

from __future__ import annotations

import orjson
import pytest

from headwater.errors import Limit, TooComplex
from headwater.streams.limits import Limits

LIMITS = Limits(max_item_bytes=1_000_000, max_id_bytes=100, max_item_values=1000)
MANY = b"[" + b"[]," * 1000 + b"[]]"


def test_a_text_of_too_many_values_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooComplex) as caught:
        LIMITS.decode("item", MANY[:-1])  # Which is no JSON, as a decoder would say.
    assert caught.value.limit == Limit("storage.max_item_values", 1000)
    assert "max_item_values" in caught.value.hint


def test_a_long_text_in_it_does_not_count() -> None:
    value = {"text": "one, [two], {three}, " * 10_000}
    assert LIMITS.decode("item", orjson.dumps(value)) == value
