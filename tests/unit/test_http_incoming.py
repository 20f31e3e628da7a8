"""Headers, path and query of a request."""

from __future__ import annotations

import pytest

from headwater.errors import RequestInvalid
from headwater.peer import MOST_PARAMETERS, read_headers
from headwater.server.http.incoming import read_path, read_query


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


@pytest.mark.parametrize(
    ("root", "raw", "path"),
    [
        ("", b"/a%2Fb", "/a%2Fb"),
        ("/app", b"/app/a%2Fb", "/a%2Fb"),
        ("/app", b"/app", "/"),
        ("/app", b"/app/", "/"),
        ("/app/", b"/app/x/", "/x/"),
        ("/app", b"/application", "/application"),
        ("/app", b"/x", "/x"),
        ("/a/b", b"/a/b/c/d", "/c/d"),
        ("/a b", b"/a%20b/c", "/c"),
        ("/gr\u00fcn", b"/gr%C3%BCn/c", "/c"),
    ],
)
def test_the_path_begins_where_the_application_is_mounted(root: str, raw: bytes, path: str) -> None:
    assert read_path({"root_path": root, "raw_path": raw, "path": "unread"}) == path


@pytest.mark.parametrize(
    ("decoded", "path"),
    [("/a b", "/a%20b"), ("/100%", "/100%25"), ("/gr\u00fcn", "/gr%C3%BCn"), ("/a:b@c", "/a:b@c")],
)
def test_a_host_without_a_raw_path_gives_the_decoded_one(decoded: str, path: str) -> None:
    assert read_path({"path": decoded}) == path
    assert read_path({"path": f"/app{decoded}", "root_path": "/app", "raw_path": None}) == path
