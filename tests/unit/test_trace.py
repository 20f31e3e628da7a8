"""Trace ids by W3C Trace Context."""

from __future__ import annotations

import re

import pytest

from headwater.trace import new_span, trace_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def test_a_valid_traceparent_gives_the_trace_and_the_parent() -> None:
    for given in (f"00-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-more"):
        trace = trace_of({"traceparent": given})
        assert (trace.id, trace.parent) == (TRACE, PARENT)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        TRACE,
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331-01-more",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331-01\nx",
    ],
)
def test_without_one_the_trace_id_is_random(given: str | None) -> None:
    headers = {} if given is None else {"traceparent": given}
    traces = {trace_of(headers) for _ in range(100)}
    assert len({trace.id for trace in traces}) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", trace.id) for trace in traces)
    assert {trace.parent for trace in traces} == {""}


def test_spans_are_told_apart() -> None:
    spans = {new_span() for _ in range(100)}
    assert len(spans) == 100
    assert all(re.fullmatch("[0-9a-f]{16}", span) for span in spans)
