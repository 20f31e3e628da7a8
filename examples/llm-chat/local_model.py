"""A small server that speaks the OpenAI-compatible chat format over real HTTP. It is no language model.

The example talks to it where no endpoint is set, so that it runs without a key; what it answers is written
in this file. It streams (`chat.completion.chunk`, usage, `[DONE]`), answers whole, lists its model, and fails
when asked to.

    python local_model.py --port 8080          # then LLM_BASE_URL=http://127.0.0.1:8080/v1
"""

import argparse
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "local-stand-in"
TOKENS_PER_SECOND = 30.0
MAX_BODY_BYTES = 4 * 1024 * 1024
TOKEN = re.compile(r"\s*\S{1,6}|\s+")

SUGGESTIONS = [
    {"label": "What happens to an answer here?", "text": "What happens to an answer here?"},
    {"label": "Show me some code", "text": "Show me some code: how does a step write an answer?"},
    {"label": "Write something long to stop", "text": "Write something long, so that I can stop it."},
    {"label": "Break off in the middle", "text": "Break off in the middle of the answer."},
]
"""Questions that this server has an answer to; the page offers them."""

FIRST = "*This is no language model: the example's own local server has this text ready.*\n\n"

LIFE = """An answer here is **not tied to your browser**, nor to the request that asked for it.

1. Your question is a request. It is stored, an event is emitted, and the request is over.
2. A step picks up the event, streams from the model, and appends every token to *one item of a stream*.
3. Whoever looks at the room follows that item: this tab, another one, your phone.

So refresh the page, close it, or open a second window: the answer goes on. Press **Stop** in any of them, and
it stops in all of them. Kill the server, and start it again: the answer is finished all the same."""

CODE = """A step appends what the model sends. That is the whole trick:

```python
async for piece in pieces:
    await messages.update(room, answer, [
        {"type": "append", "path": "text", "value": piece},
    ])
```

Each `append` is committed before anybody sees it, and travels as the few bytes that it adds. A window that
was away asks for what has changed since, and gets *that*, not the whole text again."""

LONG = """Here is a long answer. It is long so that there is time to press **Stop**, to refresh the page, or
to restart the server while it is being written.

"""
LINES = [
    "A river does not begin at its mouth, and a page does not begin when it is opened.",
    "What was said before is there at once; what is said now arrives as it is said.",
    "Two readers of the same water see the same water, however late the second came.",
    "When the path is lost, one goes back to the last place that is certain, and on from there.",
    "Nothing is said twice, and nothing is left out.",
    "A slow reader holds up nobody; they find the river where it is by then.",
    "And if somebody upstream says stop, it stops for everyone.",
]
OTHER = """You asked: “{question}”

A model would know something about that. This server only knows how to **stream**: it sends a few letters at a
time, at an even pace, just as a real endpoint does. Set `LLM_BASE_URL` and `LLM_API_KEY` in the file `.env`
and ask again.

Until then, these work:

- ask for something **long**, and stop it from another window,
- ask for **code**,
- ask it to **break off** in the middle, or to **fail** at once."""

Message = dict[str, str]
Pace = Callable[[int], None]
"""Called before each token with its number, from 0; returns when that token is due."""


def question_of(messages: list[Message]) -> str:
    """The last question, in one line: of a turn with several, the last paragraph."""
    asked = [message["content"] for message in messages if message["role"] == "user"]
    return " ".join(asked[-1].rpartition("\n\n")[2].split()) if asked else ""


def answer_to(messages: list[Message]) -> str:
    """What it says to the last question of a conversation; always the same to the same question."""
    question = question_of(messages)
    if re.search(r"\blong\b", question, re.IGNORECASE):
        return FIRST + LONG + "\n\n".join(f"{n + 1}. {LINES[n % len(LINES)]}" for n in range(40))
    if re.search(r"\bcode\b", question, re.IGNORECASE):
        return FIRST + CODE
    if re.search(r"\b(answer|break off)\b", question, re.IGNORECASE):
        return FIRST + LIFE
    return FIRST + OTHER.format(question=question[:200])


def rest_of(messages: list[Message]) -> str:
    """The answer; where the last message is a piece of one, as some endpoints allow, what comes after it."""
    whole = answer_to(messages)
    begun = messages[-1]["content"] if messages and messages[-1]["role"] == "assistant" else ""
    return whole[len(begun) :] if whole.startswith(begun) else whole


def tokens_of(text: str) -> list[str]:
    """The text in the pieces that are sent; joined, they are the text again."""
    return TOKEN.findall(text)


def steadily(tokens_per_second: float) -> Pace:
    """So many tokens a second, each a wait after the one before."""
    return lambda _: time.sleep(1 / tokens_per_second)


class Refused(Exception):
    """A request that is answered by an error, in the format's own words."""

    def __init__(
        self, status: int, message: str, kind: str = "invalid_request_error", code: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Those who close their connection are no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*_)


class LocalModel:
    """The server, on a thread of its own, from creation to `close`. `url` is what LLM_BASE_URL would be.

    `pace` says when tokens are due; with a `key`, requests must bear it.
    """

    def __init__(self, port: int = 0, *, pace: Pace | None = None, key: str = "") -> None:
        self.pace = pace or steadily(TOKENS_PER_SECOND)
        self.key = key
        self.refuses: set[str] = set()
        """Members of a request that it takes for unknown, as some servers do."""
        self.left = 0
        """How many answers were not wanted to their end: their connection was closed."""
        self.last: dict = {}
        """The last request for an answer."""
        owner = self

        class Bound(_Conversation):
            model = owner

        self._server = _Server(("127.0.0.1", port), Bound)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, name="local model", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def join(self) -> None:
        """Wait until it is closed."""
        self._thread.join()


class _Conversation(BaseHTTPRequestHandler):
    """One connection."""

    model: LocalModel
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing: the log of the server belongs to the project."""

    def do_GET(self) -> None:
        """List the models."""
        self._answer(lambda _: self._models(), b"")

    def do_POST(self) -> None:
        """Complete a chat."""
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer(_too_large, b"")
        else:
            self._answer(self._chat, self.rfile.read(length))

    def _answer(self, handle: Callable[[bytes], None], body: bytes) -> None:
        try:
            if self.model.key and self.headers.get("authorization") != f"Bearer {self.model.key}":
                raise Refused(401, "Incorrect API key provided.", code="invalid_api_key")
            handle(body)
        except Refused as refused:
            self._json(refused.status, refused.body)
        except (BrokenPipeError, ConnectionResetError):
            self.model.left += 1
            self.close_connection = True

    def _models(self) -> None:
        if self.path != "/v1/models":
            raise Refused(404, f"There is nothing at {self.path}.")
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "example"}
        self._json(200, {"object": "list", "data": [model]})

    def _chat(self, body: bytes) -> None:
        if self.path != "/v1/chat/completions":
            raise Refused(404, f"There is nothing at {self.path}.")
        request = self.model.last = _read(body)
        if unknown := self.model.refuses & request.keys():
            raise Refused(422, f"Unknown parameter: {min(unknown)}")
        question = question_of(request["messages"])
        if re.search(r"\bfail\b", question, re.IGNORECASE):
            raise Refused(
                429, "Too many requests. (You asked for a failure.)", "rate_limit_error", "rate_limit"
            )
        if request.get("stream"):
            self._stream(request, breaks=bool(re.search(r"\bbreak off\b", question, re.IGNORECASE)))
        else:
            self._whole(request)

    def _whole(self, request: dict) -> None:
        text = rest_of(request["messages"])
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = _usage(request, text)
        self._json(200, _head("chat.completion", request) | {"choices": [choice], "usage": usage})

    def _stream(self, request: dict, *, breaks: bool) -> None:
        text = rest_of(request["messages"])
        tokens = tokens_of(text)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        head = _head("chat.completion.chunk", request)
        self._event(head | {"choices": [_delta({"role": "assistant", "content": ""})]})
        for number, token in enumerate(tokens):
            if breaks and number == len(tokens) // 2:
                self._event(
                    {
                        "error": {
                            "message": "The server broke off, as it was asked to.",
                            "type": "server_error",
                        }
                    }
                )
                self._chunk(b"")
                return
            self.model.pace(number)
            self._event(head | {"choices": [_delta({"content": token})]})
        self._event(head | {"choices": [_delta({}, "stop")]})
        if (request.get("stream_options") or {}).get("include_usage"):
            self._event(head | {"choices": [], "usage": _usage(request, text)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, data: dict) -> None:
        self._chunk(b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        """One chunk of a body without a length; the empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _json(self, status: int, data: dict) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _too_large(_: bytes) -> None:
    raise Refused(413, "The request is too large.")


def _read(body: bytes) -> dict:
    """A request that has messages with a role and a text each."""
    try:
        request = json.loads(body)
        messages = request["messages"]
        ok = messages and all(isinstance(one["role"] + one["content"], str) for one in messages)
    except (ValueError, TypeError, KeyError, AttributeError):
        ok = False
    if not ok:
        raise Refused(400, "'messages' must be a list of objects with 'role' and 'content'.")
    return request


_numbers: Iterator[int] = iter(range(1, 1 << 62))


def _head(kind: str, request: dict) -> dict:
    return {
        "id": f"chatcmpl-{next(_numbers)}",
        "object": kind,
        "created": int(time.time()),
        "model": request.get("model") or MODEL,
    }


def _delta(delta: dict, finish: str | None = None) -> dict:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _usage(request: dict, text: str) -> dict:
    asked = sum(len(tokens_of(message["content"])) for message in request["messages"])
    told = len(tokens_of(text))
    return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server with ready-made answers.")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--speed", type=float, default=TOKENS_PER_SECOND, help="tokens a second")
    parser.add_argument("--key", default="", help="the key that requests must bear")
    given = parser.parse_args()
    server = LocalModel(given.port, pace=steadily(given.speed), key=given.key)
    print(f"LLM_BASE_URL={server.url}", flush=True)
    try:
        server.join()
    except KeyboardInterrupt:
        server.close()
