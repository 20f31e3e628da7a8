"""Bytes on the wire of one answer of a language model: a text of 2.5 KB in 500 tokens, as growing sets and as
appends, at a subscriber of protocol v0, of v1 and of server-sent events."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from benchmarks.measure.dialect import V0, V1, Dialect
from benchmarks.measure.frames import client_frame, opening
from benchmarks.measure.report import Result, Row, Target
from benchmarks.measure.site import Site, site

NAME = "wire"
TITLE = "Bytes received of one answer: 2.5 KB of text in 500 changes"
TOKENS = [f"w{number:03d} " for number in range(499)] + ["~end."]
"""Five bytes each, every one different; the last tells that all has come."""
LAST = TOKENS[-1].encode()
TIMEOUT_SECONDS = 60.0
KB = 1000


@dataclass(frozen=True)
class Speaker:
    """One way to subscribe. `opening` and `join` are what a client of a group sends; `joined` is in the last
    message of the answer, `mark` once in each change."""

    name: str
    opening: Callable[[str], bytes]
    join: Callable[[str], bytes]
    joined: bytes
    mark: bytes


def _socket(dialect: Dialect, mark: bytes) -> Speaker:
    return Speaker(
        dialect.name,
        lambda _: opening(dialect.subprotocol),
        lambda group: client_frame(dialect.join_of(1, group).encode()),
        dialect.joined.encode(),
        mark,
    )


def _event_stream(group: str) -> bytes:
    return (
        f"GET /streams/room/{group} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
    )


SPEAKERS = [
    _socket(V0, b'"timestamp":'),
    _socket(V1, b'"v":'),
    Speaker("SSE", _event_stream, lambda _: b"", b'"t":"complete"', b'"v":'),
]


class Subscriber:
    """A subscriber that counts what it receives after it has joined."""

    def __init__(self, speaker: Speaker, port: int, group: str) -> None:
        self._speaker = speaker
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self._socket.sendall(speaker.opening(group))
        rest = self._until(b"\r\n\r\n")
        if join := speaker.join(group):
            self._socket.sendall(join)
        if speaker.joined not in rest:
            self._until(speaker.joined)
        self._socket.settimeout(0.3)
        try:
            self._socket.recv(65536)  # What ends the message: the closing brace, the chunk.
        except TimeoutError:
            pass
        self._socket.settimeout(TIMEOUT_SECONDS)

    def count(self) -> tuple[int, int]:
        """Receive until the last token: bytes, changes."""
        data = self._until(LAST)
        self._socket.close()
        return len(data), data.count(self._speaker.mark)

    def _until(self, end: bytes) -> bytes:
        data = bytearray()
        while end not in data[-65536 - len(end) :]:
            got = self._socket.recv(65536)
            if not got:
                raise ConnectionError(f"the server closed the connection of {self._speaker.name}")
            data += got
        return bytes(data)


def run(*, quick: bool) -> Result:
    """Measure and judge; the load is the same when quick, since counting takes a second or two."""
    with site("wire") as server:
        rows = [*_answer(server, "set"), *_answer(server, "append")]
    found = {(row["subscriber"], row["written as"]): float(row["KB"]) for row in rows}
    return Result(
        NAME,
        TITLE,
        rows,
        [
            Target("KB of 500 sets, v1", found["v1", "set"], "at most", 80),
            Target("KB of 500 appends, v1", found["v1", "append"], "at most", 60),
        ],
        [
            "all bytes received after joining: frames with their framing, SSE with HTTP's chunks",
            "one durable write after the other; KB are 1000 bytes",
        ],
    )


def _answer(server: Site, way: str) -> list[Row]:
    """Write one answer to an item of a group of its own, with one subscriber of each kind."""
    group = f"{way}s"
    server.write([{"stream": "room", "group": group, "set": "answer", "data": {"text": ""}}])
    subscribers = [Subscriber(speaker, server.port, group) for speaker in SPEAKERS]
    with ThreadPoolExecutor(len(subscribers)) as readers:
        counts = [readers.submit(subscriber.count) for subscriber in subscribers]
        if fault := server.write(_writes(way, group)):
            raise RuntimeError(f"a write was refused: {fault}")
        seen = [count.result() for count in counts]
    return [
        {
            "subscriber": speaker.name,
            "written as": way,
            "KB": size / KB,
            "changes": changes,
            "bytes each": size // changes,
        }
        for speaker, (size, changes) in zip(SPEAKERS, seen, strict=True)
    ]


def _writes(way: str, group: str) -> list[dict[str, Any]]:
    place = {"stream": "room", "group": group}
    if way == "append":
        return [
            {**place, "update": "answer", "ops": [{"type": "append", "path": "text", "value": token}]}
            for token in TOKENS
        ]
    return [
        {**place, "set": "answer", "data": {"text": "".join(TOKENS[: number + 1])}}
        for number in range(len(TOKENS))
    ]
