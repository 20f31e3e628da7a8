"""Headers, query and trace id of a request."""

from __future__ import annotations

import pytest

from headwater.errors import RequestInvalid
from headwater.server.http.incoming import MOST_PARAMETERS, read_headers, read_query
from headwater.server.http.trace import trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_repeated_headers_are_joined_with_commas_and_cookies_with_semicolons() -> None:
    raw = [(b"accept", b"a"), (b"cookie", b"x=1"), (b"accept", b"b"), (b"cookie", b"y=2"), (b"accept", b"c")]
    assert read_headers(raw) == {"accept": "a, b, c", "cookie": "x=1; y=2"}


def test_header_bytes_beyond_ascii_are_latin_1() -> None:
    assert read_headers([(b"x-name", b"J\xf6rg")]) == {"x-name": "Jörg"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        (b"a=&b&=c", {"a": "", "b": "", "": "c"}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"a=%zz&b=%", {"a": "%zz", "b": "%"}),
        (b"a=%ff", {"a": "\N{REPLACEMENT CHARACTER}"}),
        (b"a%5B%5D=1&a[]=2", {"a[]": ["1", "2"]}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        ("a=é".encode(), {"a": "é"}),
    ],
)
def test_a_query_is_read(query: bytes, expected: dict[str, object]) -> None:
    assert read_query(query) == expected


def test_a_query_of_too_many_parameters_is_refused() -> None:
    assert len(read_query(b"&".join(b"p%d=1" % i for i in range(MOST_PARAMETERS)))) == MOST_PARAMETERS
    with pytest.raises(RequestInvalid, match="1000"):
        read_query(b"a&" * MOST_PARAMETERS + b"a")


def test_a_valid_traceparent_gives_its_trace_id() -> None:
    assert trace_id({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}) == TRACE
    assert trace_id({"traceparent": f"01-{TRACE}-b7ad6b7169203331-01-more"}) == TRACE


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
    ids = {trace_id(headers) for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)
