"""One client that posts, and listens to what comes of it: one request at a time and nothing else running, so
that what is measured is the server. The client is Python's own `http.client`, as plain a one as people have.
Times are in seconds."""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from typing import NamedTuple

from benchmarks.measure.dialect import Dialect
from benchmarks.measure.frames import client_frame, next_frame, opening

TIMEOUT_SECONDS = 30.0
TEXT = 1
HEADERS = {"Content-Type": "application/json"}


class RoundTrip(NamedTuple):
    """From the POST leaving to its answer, and to the frame at a subscriber (0 if nobody listens)."""

    answer: float
    frame: float


class NoAnswer(Exception):
    """The server answered something else than was asked for, or nothing in time."""


class Listener:
    """A WebSocket that has joined and takes one text frame after the other."""

    def __init__(self, port: int, dialect: Dialect) -> None:
        self._dialect = dialect
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.sendall(opening(dialect.subprotocol))
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._fill()
        self._data = self._data.partition(b"\r\n\r\n")[2]
        self.socket.sendall(client_frame(dialect.join_of(1).encode()))
        while dialect.joined.encode() not in self._text():
            continue

    def n(self) -> int | None:
        """The number in the next message, if it has one."""
        return self._dialect.n_of(json.loads(self._text()))

    def _text(self) -> bytes:
        while True:
            while not (frame := next_frame(self._data, 0)):
                self._fill()
            opcode, begin, end = frame
            payload, self._data = self._data[begin:end], self._data[end:]
            if opcode == TEXT:
                return payload

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise NoAnswer("the server closed the WebSocket")
        self._data += data


class Client:
    """A keep-alive connection that posts to `path`; with a dialect, also a subscriber that sees it happen."""

    def __init__(self, port: int, path: str, dialect: Dialect | None = None) -> None:
        self._path = path
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self._http.connect()
        self._listener = Listener(port, dialect) if dialect else None
        self._poll = select.poll()
        self._sent = 0
        for one in filter(None, (self._http.sock, self._listener and self._listener.socket)):
            self._poll.register(one, select.POLLIN)

    def round_trip(self) -> RoundTrip:
        """Post once, and wait for the answer and for the frame with what was posted.

        :raises NoAnswer: one of the two did not come, or not as it should.
        """
        self._sent += 1
        body = json.dumps({"id": "item", "n": self._sent, "pad": "x" * 70})
        answered = framed = 0.0
        began = time.perf_counter()
        self._http.request("POST", self._path, body, HEADERS)
        while not answered or (self._listener and not framed):
            for number in self._ready():
                if number == self._http.sock.fileno():
                    self._answer()
                    answered = time.perf_counter() - began
                elif self._is_effect():
                    framed = time.perf_counter() - began
        return RoundTrip(answered, framed)

    def close(self) -> None:
        self._http.close()
        if self._listener:
            self._listener.socket.close()

    def _ready(self) -> list[int]:
        ready = self._poll.poll(TIMEOUT_SECONDS * 1000)
        if not ready:
            raise NoAnswer(f"nothing came for {TIMEOUT_SECONDS} seconds")
        return [number for number, _ in ready]

    def _answer(self) -> None:
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise NoAnswer(f"{self._path} answered {answer.status}: {text[:500]!r}")

    def _is_effect(self) -> bool:
        assert self._listener
        return self._listener.n() == self._sent
