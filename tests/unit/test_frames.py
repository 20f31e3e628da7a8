"""Server frames of RFC 6455 section 5.2: final, unmasked, with the shortest length field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from headwater.protocol.clients.rfc6455 import text_frame
from support.stream_frames import payloads


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8100"),
        (1, "8101"),
        (125, "817d"),
        (126, "817e007e"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_the_length_takes_the_shortest_form(size: int, head: str) -> None:
    frame = text_frame(b"x" * size)
    assert frame[: -size or None].hex() == head
    assert frame.endswith(b"x" * size)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_joined_frames_come_apart_again(texts: list[bytes]) -> None:
    assert payloads(b"".join(text_frame(text) for text in texts)) == texts


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 200_000])
def test_another_implementation_reads_them(size: int) -> None:
    text = ("é" * size).encode()[:size]
    reader = StreamReader()
    reader.feed_data(text_frame(text))
    parsing = Frame.parse(reader.read_exact, mask=False, max_size=None, extensions=[])
    with pytest.raises(StopIteration) as stop:
        next(parsing)
    frame = stop.value.value
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, text)
