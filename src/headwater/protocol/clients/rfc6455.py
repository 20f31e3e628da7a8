"""WebSocket text frames, as bytes. Owns the server-side framing of RFC 6455 section 5.2 for outbound
messages.

Inbound framing, masking and the handshake belong to the `websockets` library. Outbound frames are built here
because one frame is encoded once and shared by every subscriber of a room. No I/O, no protocol meaning.
"""

from __future__ import annotations

_TEXT_FINAL = 0x81  # FIN and opcode 1, RFC 6455 section 5.2
_LENGTH_16 = 126
_LENGTH_64 = 127


def text_frame(payload: bytes) -> bytes:
    """One unmasked, final text frame that carries `payload` (UTF-8)."""
    size = len(payload)
    if size < _LENGTH_16:
        return bytes((_TEXT_FINAL, size)) + payload
    if size < 1 << 16:
        return bytes((_TEXT_FINAL, _LENGTH_16)) + size.to_bytes(2, "big") + payload
    return bytes((_TEXT_FINAL, _LENGTH_64)) + size.to_bytes(8, "big") + payload
