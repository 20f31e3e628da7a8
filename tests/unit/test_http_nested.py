"""What names with brackets mean in queries and forms."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.peer import read_parameters
from headwater.server.http.nested import FORM_DEPTH, QUERY_DEPTH, nest

DEEP = "a" + "".join(f"[{letter}]" for letter in "bcdefgh")


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a[b]=1", {"a": {"b": "1"}}),
        ("a%5Bb%5D=1&a%5Bc%5D=2", {"a": {"b": "1", "c": "2"}}),
        ("a[]=1", {"a": ["1"]}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        ("a[2]=x&a[5]=y", {"a": ["x", "y"]}),
        ("a[21]=1", {"a": {"21": "1"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a[0][b]=1&a[1][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("a[][b]=1&a[][c]=2", {"a": [{"b": "1", "c": "2"}]}),
        ("a[b]=1&a[b]=2", {"a": {"b": ["1", "2"]}}),
        ("a[0]=1&a[0]=2", {"a": [["1", "2"]]}),
        ("a=1&a=2&a[]=3", {"a": ["1", "2", "3"]}),
        ("a=1&a[b]=2", {"a": ["1", {"b": "2"}]}),
        ("a[1]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]=1&a[b]=2", {"a": {"0": "1", "b": "2"}}),
        ("a[b]=", {"a": {"b": ""}}),
        ("[b]=1", {"b": "1"}),
        ("a[01]=1&c[-1]=2", {"a": {"01": "1"}, "c": {"-1": "2"}}),
        ("a[b=1&c]=2", {"a[b": "1", "c]": "2"}),
        ("__proto__[x]=1&a[__proto__][x]=2&b[c]=3", {"b": {"c": "3"}}),
        ("a[constructor]=1", {"a": {"constructor": "1"}}),
        (f"{DEEP}=1", {"a": {"b": {"c": {"d": {"e": {"f": {"[g][h]": "1"}}}}}}}),
    ],
)
def test_names_with_brackets_are_nested(query: str, value: Any) -> None:
    assert nest(read_parameters(query), QUERY_DEPTH) == value


def test_a_form_may_be_deeper_than_a_query_and_ends_too() -> None:
    deep: Any = nest({"a" + "[b]" * 100: "1"}, FORM_DEPTH)
    depth = 0
    while isinstance(deep, dict):
        deep, depth = next(iter(deep.values())), depth + 1
    assert (deep, depth) == ("1", FORM_DEPTH + 2)


def test_files_are_values_like_any_other() -> None:
    file = {"filename": "a.txt", "data": "YQ=="}
    assert nest({"files[]": [file, file], "one[file]": file}, FORM_DEPTH) == {
        "files": [file, file],
        "one": {"file": file},
    }
