"""Integers beyond 64 bits are refused by name where they cannot be kept, and reach Python steps whole."""

from __future__ import annotations

import time

import orjson
import pytest

from headwater.client import given
from headwater.errors import InvalidInput, ProtocolFault
from headwater.jsonvalue import has_long_integer, long_integer
from headwater.protocol.clients.v1_requests import parse_request
from headwater.worker.values import from_json

MOST, LEAST = 2**64 - 1, -(2**63)


@pytest.mark.parametrize("kept", [MOST, LEAST, 0, 1.5e300, "1" * 40, {"1" * 40: "2" * 40}, [MOST, [LEAST]]])
def test_what_has_64_bits_is_kept(kept: object) -> None:
    text = orjson.dumps(kept)
    assert long_integer(text) is None
    assert from_json(text) == given.json_value(kept, "data") == kept


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (str(MOST + 1), ""),
        (str(LEAST - 1), ""),
        (f'{{"a":{{"b":[1,{2**70}]}}}}', "a.b.1"),
        (f'["{"9" * 30}", {{"n": -{10**30}}}]', "1.n"),
    ],
)
def test_a_longer_one_is_found_where_it_stands(text: str, place: str) -> None:
    assert long_integer(text) == long_integer(text.encode()) == place


def test_a_client_is_told_which_one() -> None:
    with pytest.raises(InvalidInput, match=r"a\.n has more than 64 bits") as refused:
        given.json_value({"a": {"n": 2**70}}, "data")
    assert refused.value.details["field"] == "data.a.n"
    said = f'{{"t":"set","ask":7,"stream":"s","group":"g","id":"i","d":{{"n":{2**70}}}}}'
    with pytest.raises(ProtocolFault) as fault:
        parse_request(said, max_id_bytes=100)
    assert (fault.value.details["field"], fault.value.details["ask"]) == ("d.n", 7)


def test_a_step_is_given_it_whole() -> None:
    assert from_json(f'{{"n":{2**70},"x":0.5}}'.encode()) == {"n": 2**70, "x": 0.5}


def test_many_digits_are_read_once() -> None:
    began = time.thread_time()
    assert long_integer("[" + "1" * 4000 + "]") == "0"
    assert long_integer(b'["' + b"1" * 1_000_000 + b'"]') is None
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("before", [*range(40), 50_000])
@pytest.mark.parametrize("filler", ["z", "1,"])
def test_a_run_of_digits_is_found_wherever_it_begins(before: int, filler: str) -> None:
    around = (filler * before)[:before] if filler == "z" else filler * before
    found, missed = f"{around},{'9' * 19},", f"{around},{'9' * 18},"
    for text, has in ((found, True), (missed, False)):
        assert has_long_integer(text) is has_long_integer(text.encode()) is has
