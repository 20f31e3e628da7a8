"""What a server and the process beside it say to each other: one question, one answer, each a frame.

A frame is two lengths of 4 bytes, a JSON header and bytes. Both ends run the same code, so nothing is
checked.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import orjson

LENGTHS = struct.Struct(">II")


class Frame(NamedTuple):
    """A header of plain JSON values, and bytes."""

    header: dict[str, Any]
    body: bytes = b""

    def head(self) -> bytes:
        """All that goes before the body."""
        header = orjson.dumps(self.header)
        return LENGTHS.pack(len(header), len(self.body)) + header
