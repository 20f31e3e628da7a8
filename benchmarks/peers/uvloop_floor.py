"""The floor for a Python server: each change framed once, one `transport.write` per connection, that is all.

No subscriptions, no versions, no limits, no store. What Headwater costs above this is its own doing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import sys
import time
from typing import cast

import uvloop

PAD = "x" * 70
HIGH_WATER_BYTES = 256 * 1024
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

connections: list[asyncio.Transport] = []


class Connection(asyncio.Protocol):
    """Answers the handshake and then ignores what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._head = b""
        self._open = False

    def data_received(self, data: bytes) -> None:
        if self._open:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            return
        lines = (line.partition(b": ") for line in self._head.split(b"\r\n"))
        key = next(value for name, _, value in lines if name.lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
        self._transport.write(ANSWER + accept + b"\r\n\r\n")
        self._open = True
        connections.append(self._transport)


def frame(n: int) -> bytes:
    """Change number `n` as one text frame; it has between 126 and 65,535 bytes."""
    text = (
        f'{{"timestamp":{time.time() * 1000:.3f},"streamName":"room","groupId":"g","id":"item",'
        f'"event":{{"type":"update","data":{{"n":{n},"pad":"{PAD}","id":"item"}}}}}}'
    ).encode()
    return bytes((0x81, 126)) + len(text).to_bytes(2, "big") + text


async def publish(changes: int, burst: int) -> None:
    for n in range(0, changes, burst):
        frames = b"".join(frame(number) for number in range(n, min(n + burst, changes)))
        for transport in connections:
            transport.write(frames)
        await asyncio.sleep(0)
        while connections[0].get_write_buffer_size() > HIGH_WATER_BYTES:
            await asyncio.sleep(0.001)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        await publish(order["changes"], order["burst"])


if __name__ == "__main__":
    uvloop.run(main())
