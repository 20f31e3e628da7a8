"""Who has an answer already is told 304: one rule for files, the client and streams."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.server.http.conditional import Tagged, knows, knows_file, send_tagged

TAG = '"abc.5"'


@pytest.mark.parametrize("known", [TAG, f"W/{TAG}", "*", f'"x", {TAG}', f'"x",W/{TAG}', f' "a,b" , {TAG} '])
def test_a_tag_that_is_listed_is_known(known: str) -> None:
    assert knows(TAG, {"if-none-match": known})


@pytest.mark.parametrize("known", ["", " ", "abc.5", '"abc"', '"abc.5', '"abc.5x"', '"x" *', ","])
def test_no_other_is(known: str) -> None:
    assert not knows(TAG, {"if-none-match": known})
    assert not knows(TAG, {})


OLD, NEW = "Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT"


def test_tags_count_before_dates() -> None:
    assert knows_file(TAG, OLD, {"if-modified-since": OLD})
    assert knows_file(TAG, OLD, {"if-modified-since": NEW})
    assert knows_file(TAG, OLD, {"if-modified-since": "Sun Nov  6 08:49:37 1994"})
    assert not knows_file(TAG, NEW, {"if-modified-since": OLD})
    assert not knows_file(TAG, OLD, {"if-modified-since": "yesterday"})
    assert not knows_file(TAG, OLD, {"if-none-match": '"other"', "if-modified-since": NEW})
    assert knows_file(TAG, NEW, {"if-none-match": TAG, "if-modified-since": OLD})


@pytest.mark.parametrize(
    ("method", "known", "status", "body"),
    [("GET", "", 200, b"{}"), ("HEAD", "", 200, b""), ("GET", TAG, 304, b""), ("HEAD", "*", 304, b"")],
)
async def test_an_answer_is_whole_or_304(method: str, known: str, status: int, body: bytes) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    answer = Tagged(TAG, "application/json", b"{}")
    await send_tagged(send, method, {"if-none-match": known}, answer, [(b"x-more", b"1")])
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], sent[1]["body"]) == (status, body)
    assert (headers[b"etag"], headers[b"cache-control"]) == (TAG.encode(), b"no-cache")
    assert headers.get(b"content-length") == (b"2" if status == 200 else None)
    assert headers.get(b"x-more") == (b"1" if status == 200 else None)
