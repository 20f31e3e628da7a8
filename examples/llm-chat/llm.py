"""The endpoint that answers: which one, and how its stream is read. Knows no steps.

Any endpoint that speaks the OpenAI-compatible format of `POST /chat/completions` will do. Set in `.env`:

    LLM_BASE_URL=https://.../v1     the address before /chat/completions
    LLM_API_KEY=...                 sent as a bearer token; some servers want none
    LLM_MODEL=...                   optional: else the first that the endpoint lists
    LLM_AFTER_RESTART=continue      the endpoint goes on with a begun answer; else it is begun anew

Without LLM_BASE_URL, a small server of this folder's own answers (`local_model.py`),
LLM_LOCAL_SPEED tokens a second (30).
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

import httpx
from local_model import TOKENS_PER_SECOND, LocalModel, steadily

client = httpx.AsyncClient(timeout=httpx.Timeout(10, read=120))
"""Shared by all answers of this process. 120 s is the longest pause between two tokens."""


RULES = "Answer in Markdown: paragraphs, lists, bold, code. No tables, no images, no HTML."
LAST_MESSAGES = 40
"""How much of a room the model is told: so many messages."""


class LlmError(Exception):
    """Why there is no answer, or not all of it; for people to read."""


@dataclass
class Told:
    """What the endpoint says beside the text."""

    finish: str = ""
    usage: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What of it is kept with an answer."""
        tokens = self.usage.get("completion_tokens")
        cut = {"note": "The endpoint's limit of tokens was reached."} if self.finish == "length" else {}
        return cut | ({"tokens": tokens} if tokens else {})


@dataclass(frozen=True)
class Endpoint:
    """Where questions go. `local` says that no language model is behind it."""

    url: str
    key: str
    model: str
    local: bool

    @property
    def host(self) -> str:
        """The host and port, which may be shown to anybody."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        return {"authorization": f"Bearer {self.key}"} if self.key else {}


@cache
def local_model() -> LocalModel:
    """This process's own server; started when first needed, gone with the process."""
    return LocalModel(pace=steadily(float(os.environ.get("LLM_LOCAL_SPEED") or TOKENS_PER_SECOND)))


@cache
def endpoint() -> Endpoint:
    """The endpoint of the settings.

    :raises LlmError: a key is set, and no address that it is for.
    """
    url, key, model = (os.environ.get(f"LLM_{name}", "").strip() for name in ("BASE_URL", "API_KEY", "MODEL"))
    if url:
        return Endpoint(url.rstrip("/"), key, model, local=False)
    if key:
        raise LlmError("LLM_API_KEY is set, but not LLM_BASE_URL: the address that the key is for.")
    return Endpoint(local_model().url, "", "", local=True)


def conversation_before(answer_id: str, items: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What the model is told: the last messages up to the answer, as far as they say anything.

    Where the answer is begun, its beginning is the last of them: some endpoints go on from there. Questions
    without an answer between them become one, since many models want turns.
    """
    ids = [item["id"] for item in items]
    said = [item for item in items[: ids.index(answer_id) + 1] if item["text"]][-LAST_MESSAGES:]
    turns = [
        {"role": role, "content": "\n\n".join(item["text"] for item in items)}
        for role, items in groupby(said, key=itemgetter("role"))
    ]
    return [{"role": "system", "content": RULES}, *turns]


async def model_of(place: Endpoint) -> str:
    """The model to ask: that of the settings, or the first that the endpoint lists."""
    if place.model:
        return place.model
    async with _answered("GET", place, "/models") as response:
        listed = json.loads(await response.aread())
    try:
        return listed["data"][0]["id"]
    except (LookupError, TypeError):
        raise LlmError(f"{place.host} lists no model: set LLM_MODEL.") from None


async def pieces(
    place: Endpoint, model: str, messages: list[dict[str, str]], told: Told
) -> AsyncIterator[str]:
    """The answer to a conversation, piece by piece as it comes; `told` learns the rest.

    Leaving the loop early closes the connection, by which the endpoint knows to stop.

    :raises LlmError: the endpoint refused, failed, fell silent or broke off.
    """
    asked = {"model": model, "messages": messages, "stream": True}
    try:
        async for piece in _pieces(place, asked | {"stream_options": {"include_usage": True}}, told):
            yield piece
    except LlmError as error:
        if "stream_options" not in str(error):
            raise
        # Older servers refuse what they do not know; they count no tokens then.
        async for piece in _pieces(place, asked, told):
            yield piece


async def _pieces(place: Endpoint, asked: dict[str, Any], told: Told) -> AsyncIterator[str]:
    async with _answered("POST", place, "/chat/completions", asked) as response:
        async for data in _events(response):
            if data == "[DONE]":
                return
            chunk = json.loads(data)
            if chunk.get("error"):
                raise LlmError(_message(chunk))
            told.usage = chunk.get("usage") or told.usage
            for choice in chunk.get("choices") or ():
                told.finish = choice.get("finish_reason") or told.finish
                if piece := (choice.get("delta") or {}).get("content"):
                    yield piece
        if not told.finish:
            raise LlmError(f"{place.host} broke off in the middle of the answer.")


@asynccontextmanager
async def _answered(
    method: str, place: Endpoint, path: str, body: dict[str, Any] | None = None
) -> AsyncIterator[httpx.Response]:
    """A request and its good answer; whatever goes wrong until its end is an LlmError."""
    try:
        async with client.stream(method, place.url + path, headers=place.headers, json=body) as response:
            if not response.is_success:
                why = _message_of(await response.aread())
                raise LlmError(f"{place.host} answered {response.status_code}: {why}")
            yield response
    except httpx.ReadTimeout as error:
        raise LlmError(f"{place.host} fell silent.") from error
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise LlmError(
            f"{place.host or place.url} cannot be reached: {error or type(error).__name__}."
        ) from error
    except httpx.HTTPError as error:
        raise LlmError(f"{place.host} broke off in the middle of the answer.") from error


async def _events(response: httpx.Response) -> AsyncIterator[str]:
    """The data of each server-sent event; in this format an event is one line."""
    rest = b""
    # Not `aiter_lines`: it also ends a line at characters that may stand unescaped in JSON, like U+2028.
    async for data in response.aiter_bytes():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip().decode()


def _message_of(body: bytes) -> str:
    try:
        return _message(json.loads(body))
    except (ValueError, AttributeError):
        return body.decode(errors="replace")[:200] or "nothing more"


def _message(told: dict[str, Any]) -> str:
    """The message of an error, in the forms that are about."""
    error = told.get("error", told)
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "an error without a message")[:500]
