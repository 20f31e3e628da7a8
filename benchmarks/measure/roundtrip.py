"""One client that posts, and listens to what comes of it: one request at a time and nothing else running, so
that what is measured is the server. The client is Python's own `http.client`, as plain a one as people have.
Times are in seconds."""

from __future__ import annotations

import http.client
import json
import os
import select
import socket
import time
from typing import Any, NamedTuple

TIMEOUT_SECONDS = 30.0
OPENING = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HEADERS = {"Content-Type": "application/json"}


class RoundTrip(NamedTuple):
    """From the POST leaving to its answer, and to the frame at a subscriber (0 if nobody listens)."""

    answer: float
    frame: float


class NoAnswer(Exception):
    """The server answered something else than was asked for, or nothing in time."""


class Listener:
    """A WebSocket that has joined and takes one small text frame after the other, each well under 64 KB."""

    def __init__(self, port: int, join: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.sendall(OPENING)
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._fill()
        self._data = self._data.partition(b"\r\n\r\n")[2]
        self.socket.sendall(_masked(join.encode()))
        self.frame()

    def frame(self) -> bytes:
        """The payload of the next text frame."""
        while True:
            opcode, payload = self._next()
            if opcode == 1:
                return payload

    def _next(self) -> tuple[int, bytes]:
        self._have(2)
        size, head = self._data[1] & 127, 2
        if size == 126:
            self._have(4)
            size, head = int.from_bytes(self._data[2:4], "big"), 4
        self._have(head + size)
        opcode, payload = self._data[0] & 15, self._data[head : head + size]
        self._data = self._data[head + size :]
        return opcode, payload

    def _have(self, size: int) -> None:
        while len(self._data) < size:
            self._fill()

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise NoAnswer("the server closed the WebSocket")
        self._data += data


class Client:
    """A keep-alive connection that posts to `path`; with `join`, also a subscriber that sees the effect."""

    def __init__(self, port: int, path: str, join: str = "") -> None:
        self._path = path
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        self._http.connect()
        self._listener = Listener(port, join) if join else None
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
        message: dict[str, Any] = json.loads(self._listener.frame())
        return message["event"].get("data", {}).get("n") == self._sent


def _masked(payload: bytes) -> bytes:
    """One client text frame of less than 64 KB."""
    mask = os.urandom(4)
    head = bytes((0x81, 0x80 | 126)) + len(payload).to_bytes(2, "big") + mask
    return head + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
