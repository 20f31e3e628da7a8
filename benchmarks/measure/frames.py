"""What a benchmark's own WebSocket client needs: its opening, its frames, those of the server. Frames are
made as cheaply as RFC 6455 allows: the mask is zero, so that a payload travels as it is."""

from __future__ import annotations


def opening(protocol: str = "") -> bytes:
    """The request that opens a WebSocket; without `protocol` the server speaks v0."""
    offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return (
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offer}\r\n"
    ).encode()


def client_frame(payload: bytes, opcode: int = 1) -> bytes:
    """A message of a client, below 64 KB."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size, 0, 0, 0, 0)) + payload
    return bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big") + bytes(4) + payload


def next_frame(data: bytes | bytearray, start: int) -> tuple[int, int, int] | None:
    """The server's frame at `start`: opcode, where its payload begins and ends. None until it is whole."""
    if len(data) < start + 2:
        return None
    size, begin = data[start + 1] & 127, start + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < begin + width:
            return None
        size, begin = int.from_bytes(data[begin : begin + width], "big"), begin + width
    end = begin + size
    return (data[start] & 15, begin, end) if end <= len(data) else None
