"""Frames of the worker protocol survive every way of being cut, and nonsense never passes."""

from __future__ import annotations

import itertools
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import ProtocolFault, TooLarge
from headwater.protocol.workers import messages as protocol
from headwater.protocol.workers.messages import Decoder, Message

TEXT = st.text(max_size=30)
SECTION = st.binary(max_size=200)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
SOURCES = st.lists(st.builds(protocol.Source, TEXT, SECTION), max_size=4)
TASKS = st.builds(protocol.Task, st.integers(0, 2**31), TEXT, TEXT, TEXT, st.tuples(TEXT), st.booleans())

FROM_SERVER = st.one_of(
    st.builds(protocol.load, st.integers(0, 9), TEXT, st.lists(TEXT, max_size=3), SOURCES),
    st.builds(
        protocol.invoke,
        TASKS,
        TEXT,
        st.builds(lambda given: {"given": given}, st.dictionaries(TEXT, PLAIN, max_size=4)),
        st.tuples(SECTION),
    ),
    st.builds(
        protocol.call_result,
        st.integers(0, 99),
        st.none() | SECTION,
        st.lists(st.integers(0, 99), max_size=3),
    ),
    st.builds(protocol.failure, st.integers(0, 99), st.dictionaries(TEXT, PLAIN, max_size=3)),
    st.builds(protocol.streams, st.lists(TEXT, max_size=3)),
    st.builds(protocol.ping, st.integers(0, 99)),
    st.just(protocol.drain()),
)


def frame(message: Message) -> bytes:
    return b"".join(protocol.encode(message))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(FROM_SERVER, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
def test_what_is_encoded_comes_out_however_it_is_cut(messages: list[Message], places: list[int]) -> None:
    decoder = Decoder("server")
    found: list[Message] = []
    for piece in cut(b"".join(map(frame, messages)), places):
        found.extend(decoder.feed(piece))
    assert [(message.header, list(message.sections)) for message in found] == [
        (message.header, list(message.sections)) for message in messages
    ]
    assert decoder.pending == 0


@given(FROM_SERVER)
def test_large_sections_are_not_joined_but_the_bytes_are_the_same(message: Message) -> None:
    big = Message(message.header, (*message.sections, b"x" * (protocol_join() + 1)))
    buffers = protocol.encode(big)
    assert len(buffers) == 1 + len(big.sections)
    length = int.from_bytes(bytes(buffers[0])[:4], "big")
    assert sum(map(len, buffers)) == 4 + length


def protocol_join() -> int:
    from headwater.protocol.workers.frames import JOIN_BELOW

    return JOIN_BELOW


@given(st.binary(max_size=400))
def test_random_bytes_give_a_protocol_fault_or_wait_for_more(data: bytes) -> None:
    decoder = Decoder("worker", limit=1000)
    try:
        found = list(decoder.feed(data))
    except ProtocolFault:
        return
    assert found == [] or decoder.pending < len(data)


@given(
    st.dictionaries(TEXT, PLAIN, max_size=5),
    st.lists(SECTION, max_size=3),
    st.sampled_from(["server", "worker"]),
)
def test_a_header_of_any_json_passes_only_as_a_known_message(
    header: dict[str, Any], sections: list[bytes], sender: protocol.Sender
) -> None:
    message = Message({**header, "t": header.get("t", "started")}, tuple(sections))
    try:
        protocol.check(message, sender)
    except ProtocolFault:
        return
    assert sender == "worker"
    assert type(message.header["id"]) is int


@given(FROM_SERVER, st.data())
def test_a_message_without_one_of_its_members_is_refused(message: Message, data: st.DataObject) -> None:
    optional = {
        "error",
        "versions",
        "value",
        "value_section",
        "request",
        "stream",
        "group",
        "item",
        "auth",
        "given",
    }
    needed = sorted(message.header.keys() - optional)
    member = data.draw(st.sampled_from(needed))
    broken = Message(
        {name: value for name, value in message.header.items() if name != member}, message.sections
    )
    with pytest.raises(ProtocolFault):
        protocol.check(broken, "server")


@given(st.integers(0, 2000))
def test_a_frame_at_the_limit_passes_and_one_above_does_not(size: int) -> None:
    message = protocol.call_result(1, b"x" * size)
    length = len(frame(message)) - 4
    assert protocol.encode(message, limit=length)
    with pytest.raises(TooLarge):
        protocol.encode(message, limit=length - 1)
    assert len(list(Decoder("server", limit=length).feed(frame(message)))) == 1
    with pytest.raises(ProtocolFault):
        list(Decoder("server", limit=length - 1).feed(frame(message)))


def test_a_length_above_the_limit_is_refused_before_its_bytes_arrive() -> None:
    with pytest.raises(ProtocolFault, match="outside the limits"):
        list(Decoder("server", limit=1000).feed(struct.pack(">I", 1001)))


def test_the_messages_before_a_faulty_one_come_out() -> None:
    decoder = Decoder("server")
    found = decoder.feed(frame(protocol.ping(1)) + frame(Message({"t": "nonsense"})))
    assert next(found).header["n"] == 1
    with pytest.raises(ProtocolFault, match="nonsense"):
        next(found)


@pytest.mark.parametrize(
    ("header", "sections"),
    [
        (b"[]", b""),
        (b"{", b""),
        (b"\xff", b""),
        (b'{"t":"drain","sections":[1]}', b""),
        (b'{"t":"drain","sections":[1]}', b"ab"),
        (b'{"t":"drain","sections":[-1]}', b""),
        (b'{"t":"drain","sections":[true]}', b"a"),
        (b'{"t":"drain","sections":"1"}', b"a"),
        (b'{"t":"drain"}', b"a"),
        (b'{"t":"result","id":1,"ok":true,"value_section":0}', b""),
        (b'{"t":"result","id":1,"ok":true,"value_section":-1,"sections":[1]}', b"a"),
        (b'{"t":"result","id":true,"ok":true}', b""),
        (b'{"t":"ping","n":"1"}', b""),
        (b'{"t":"hello"}', b""),
        (b'{"t":7}', b""),
    ],
)
def test_malformed_frames_are_refused(header: bytes, sections: bytes) -> None:
    data = struct.pack(">II", 4 + len(header) + len(sections), len(header)) + header + sections
    with pytest.raises(ProtocolFault):
        list(Decoder("server").feed(data))


def test_a_header_longer_than_its_frame_is_refused() -> None:
    with pytest.raises(ProtocolFault, match="longer than the frame"):
        list(Decoder("server").feed(struct.pack(">II", 4, 5)))


def test_lone_surrogates_and_huge_integers_in_a_header_still_travel() -> None:
    message = protocol.log("info", "a\ud800b", {"n\udc00": 2**70}, protocol.Whose())
    found = next(Decoder("worker").feed(frame(message)))
    assert found.header["message"] == "a\ufffdb"
    assert found.header["fields"] == {"n\ufffd": json.loads(str(float(2**70)))}
