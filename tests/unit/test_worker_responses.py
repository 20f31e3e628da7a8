"""What a handler may return, and which items an answer names."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest

from headwater.errors import HandlerFailed
from headwater.worker.items import StreamItem, read_item
from headwater.worker.responses import MAX_SCAN_DEPTH, answer_of


def item(number: int) -> StreamItem:
    return read_item("chat", "g", {"id": str(number)}, number)


def test_a_status_of_the_standard_library_is_taken() -> None:
    assert answer_of({"status": HTTPStatus.CREATED}).status == 201


def test_numbers_in_headers_become_text() -> None:
    assert answer_of({"status": 200, "headers": {"X-Count": 5, "X-List": ["a", 2]}}).headers == {
        "X-Count": "5",
        "X-List": ["a", "2"],
    }


@pytest.mark.parametrize(
    "response",
    [
        None,
        [],
        {"status": True},
        {"status": 200.5},
        {"status": "ok"},
        {"status": " 200"},
        {"status": 200, "headers": []},
        {"status": 200, "headers": {"a": "b\0"}},
        {"status": 200, "headers": {"": "b"}},
        {"status": 200, "headers": {"a": [["nested"]]}},
        {"status": 200, "headers": {1: "b"}},
        {"status": 200, "headers": {"a": None}},
        {"status": 200, "body": {"x": b"bytes inside"}},
    ],
)
def test_what_is_no_response_is_refused(response: Any) -> None:
    with pytest.raises(HandlerFailed):
        answer_of(response)


def test_bytes_of_every_kind_go_out_raw() -> None:
    for body in (b"x", bytearray(b"x"), memoryview(b"x")):
        assert answer_of({"status": 200, "body": body})[2:4] == ("bytes", b"x")


def test_the_items_of_a_body_are_named_outermost_first() -> None:
    body = {"list": [item(2), {"deeper": item(3)}], "first": item(1)}
    assert [found[3] for found in answer_of({"status": 200, "body": body}).items] == [1, 2, 3]
    assert answer_of({"status": 200, "body": item(1)}).items == (("chat", "g", "1", 1),)


def test_an_item_that_holds_an_item_names_both() -> None:
    outer = item(1)
    outer["inner"] = item(2)
    assert [found[3] for found in answer_of({"status": 200, "body": outer}).items] == [1, 2]


def test_a_copy_of_an_item_is_no_item() -> None:
    assert answer_of({"status": 200, "body": {**item(1)}}).items == ()


def test_items_are_looked_for_within_bounds() -> None:
    deep: Any = item(1)
    for _ in range(MAX_SCAN_DEPTH):
        deep = [deep]
    assert answer_of({"status": 200, "body": deep}).items == ()
    assert len(answer_of({"status": 200, "body": [item(number) for number in range(50)]}).items) == 16
    far = [0] * 100_000
    assert answer_of({"status": 200, "body": [*far, item(1)]}).items == ()
