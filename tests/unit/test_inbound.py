"""Frames on their way in: however the bytes are cut, the same arrives; afterwards nothing is kept."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.server.live.inbound import Arrival, Inbound, Quiet, Violation
from support.socket_client import CONT, PING, PONG, TEXT, close, frame, text

LIMIT = 1000


def fed(inbound: Inbound, data: bytes) -> Iterator[Arrival]:
    """What has become whole with these bytes."""
    inbound.add(data)
    while (arrival := inbound.next()) is not None:
        if not isinstance(arrival, Quiet):
            yield arrival


def arrivals(*pieces: bytes, limit: int = LIMIT) -> list[Arrival | tuple[int, str]]:
    """What arrives from the pieces; a violation as its code and reason at the end."""
    inbound = Inbound(limit)
    found: list[Arrival | tuple[int, str]] = []
    try:
        for piece in pieces:
            found += fed(inbound, piece)
    except Violation as violation:
        found.append((violation.code, violation.reason))
    return found


FRAMES = st.lists(
    st.one_of(
        st.text(max_size=50).map(text),
        st.binary(max_size=50).map(lambda data: frame(TEXT, data, fin=False)),
        st.binary(max_size=50).map(lambda data: frame(CONT, data)),
        st.binary(max_size=130).map(lambda data: frame(PING, data)),
        st.just(frame(PONG)),
        st.integers(0, 5000).map(close),
        st.binary(max_size=20),
    ),
    max_size=8,
).map(b"".join)


@given(FRAMES, st.lists(st.integers(0, 500), max_size=10))
def test_however_the_bytes_are_cut_the_same_arrives(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:stop] for start, stop in pairwise(edges)]
    whole = arrivals(stream)
    assert arrivals(*pieces) == whole
    assert arrivals(*[bytes([byte]) for byte in stream]) == whole


def test_a_ping_amid_fragments_that_fill_the_limit_is_no_fault() -> None:
    filling = text("x" * LIMIT, fin=False)
    assert arrivals(filling, frame(PING, b"p" * 125), frame(CONT)) == [(b"p" * 125,), "x" * LIMIT]


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
def test_the_limit_is_that_of_the_whole_message(size: int) -> None:
    fits = size <= LIMIT
    assert (arrivals(text("x" * size)) == ["x" * size]) is fits
    parts = [text("x" * 500, fin=False), frame(CONT, b"x" * (size - 500))]
    assert (arrivals(*parts) == ["x" * size]) is fits


def test_nothing_is_kept_of_what_was_whole() -> None:
    inbound = Inbound(100_000)
    assert list(fed(inbound, text("x" * 50_000, fin=False) + frame(CONT, b"y" * 50_000)))
    kept = [getattr(inbound, name) for name in Inbound.__slots__ if name != "_limit"]
    assert sum(sys.getsizeof(value) for value in kept) < 500


def test_empty_fragments_without_end_are_not_gathered() -> None:
    inbound = Inbound(LIMIT)
    assert list(fed(inbound, text("", fin=False))) == []
    empty = frame(CONT, fin=False) * 1000
    for _ in range(20):
        assert list(fed(inbound, empty)) == []
    kept = [getattr(inbound, name) for name in Inbound.__slots__]
    assert sum(sys.getsizeof(value) for value in kept) < 2000


def test_what_is_held_is_told() -> None:
    inbound = Inbound(LIMIT)
    assert not list(fed(inbound, text("x" * 500, fin=False)))
    assert inbound.held == 500
    assert not list(fed(inbound, frame(CONT, b"y" * 100)[:-1]))
    assert inbound.held == 500 + 99


class Watched(Inbound):
    """One that can be watched."""


def test_what_is_let_go_is_freed_at_once() -> None:
    inbound = Watched(LIMIT)
    assert not list(fed(inbound, text("x" * 500, fin=False) + frame(CONT, b"y" * 100)[:-1]))
    inbound.let_go()
    assert inbound.held == 0
    kept = weakref.ref(inbound)
    gc.disable()
    try:
        del inbound
        assert kept() is None
    finally:
        gc.enable()
