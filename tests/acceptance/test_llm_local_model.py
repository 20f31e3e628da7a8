"""The endpoint that the chat with a model ships: the OpenAI-compatible format, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.llm_example import Endpoint, endpoint

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Show me code"}]}


@pytest.fixture(scope="module")
def place() -> Iterator[Endpoint]:
    with endpoint() as place:
        place.gate.open()
        yield place


def stream(place: Endpoint, **more: Any) -> list[str]:
    """The data of each event of an answer."""
    with httpx.stream(
        "POST", f"{place.model.url}/chat/completions", json=ASKED | {"stream": True} | more
    ) as got:
        assert got.status_code == 200
        assert got.headers["content-type"].startswith("text/event-stream")
        lines = got.read().decode().split("\n\n")
    assert lines.pop() == ""
    return [line.removeprefix("data: ") for line in lines]


def text_of(chunks: list[Any]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def whole(place: Endpoint, messages: list[dict[str, str]]) -> Any:
    return httpx.post(f"{place.model.url}/chat/completions", json=ASKED | {"messages": messages}).json()


def test_an_answer_is_streamed_in_chunks_with_an_end(place: Endpoint) -> None:
    *events, end = stream(place)
    assert end == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-2:]] == [None, "stop"]
    assert text_of(chunks) == whole(place, ASKED["messages"])["choices"][0]["message"]["content"]


def test_usage_is_told_last_where_it_is_asked_for(place: Endpoint) -> None:
    *_, last, end = stream(place, stream_options={"include_usage": True})
    assert end == "[DONE]"
    assert json.loads(last)["choices"] == []
    usage = json.loads(last)["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage == whole(place, ASKED["messages"])["usage"]
    assert not any("usage" in event for event in stream(place))


def test_the_same_question_has_the_same_answer_which_says_what_it_is(place: Endpoint) -> None:
    assert stream(place)[1:3] != []
    first, second = (text_of([json.loads(one) for one in stream(place)[:-1]]) for _ in range(2))
    assert first == second
    assert "no language model" in first


def test_a_begun_answer_is_gone_on_with(place: Endpoint) -> None:
    answer = whole(place, ASKED["messages"])["choices"][0]["message"]["content"]
    begun = [*ASKED["messages"], {"role": "assistant", "content": answer[:100]}]
    assert whole(place, begun)["choices"][0]["message"]["content"] == answer[100:]


def test_it_lists_its_model(place: Endpoint) -> None:
    listed = httpx.get(f"{place.model.url}/models").json()
    assert [one["object"] for one in listed["data"]] == ["model"]


def test_it_can_break_off(place: Endpoint) -> None:
    *_, last = stream(place, messages=[{"role": "user", "content": "Break off in the middle"}])
    assert json.loads(last)["error"]["message"]


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "fail at once"}]}, 429),
        ("/chat/completions", {"messages": []}, 400),
        ("/chat/completions", {"messages": [{"role": "user"}]}, 400),
        ("/chat/completions", [1], 400),
        ("/chat/completions", None, 400),
        ("/elsewhere", {}, 404),
    ],
)
def test_what_it_refuses_is_an_error_of_the_format(
    place: Endpoint, path: str, sent: Any, status: int
) -> None:
    refused = httpx.post(place.model.url + path, json=sent)
    assert refused.status_code == status
    assert refused.json()["error"].keys() == {"message", "type", "param", "code"}


def test_with_a_key_others_are_refused() -> None:
    with endpoint(key="right") as place:
        place.gate.open()
        for key, status in {"": 401, "Bearer wrong": 401, "Bearer right": 200}.items():
            asked = httpx.post(
                f"{place.model.url}/chat/completions", json=ASKED, headers={"authorization": key}
            )
            assert asked.status_code == status
