"""Whatever a client sends, a session answers or ends the socket: it never fails, and others never notice.

The corpus holds messages that were worth keeping, one a file; each is sent as it is, and mutated. A found
fault goes into it. `pytest tests/fuzz --fuzz-examples 20000` runs longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from headwater.config import SocketSettings
from headwater.protocol.clients.v0 import V0Wire
from headwater.server.live.inbound import Inbound, Quiet, Violation
from headwater.server.live.session import Session
from headwater.server.live.session_v0 import V0Session
from support.socket_client import frame
from support.socket_server import OpenGate
from support.stream_stage import StreamStage
from support.stream_store import turns
from support.v1_client import HandSocket
from support.v1_stage import V1Stage

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
KEPT = [file.read_text() for file in CORPUS]
NAMES = st.sampled_from(["chat", "news", "none", "chat.presence", "room", "a", "", "\x00", "é" * 600])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | NAMES
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.integers(-1, 4) | st.sampled_from([2**53 - 1, 2**53, 2**64, 1.0, True, "1", None])
V1_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "t": st.sampled_from(
        ["sub", "sub", "sub", "unsub", "more", "state", "ping", "auth", "set", "x", 1, None]
    ),
    "sub": NUMBERS,
    "stream": NAMES | VALUES,
    "group": NAMES | VALUES,
    "id": NAMES | VALUES,
    "limit": NUMBERS | VALUES,
    "floor": NUMBERS | VALUES,
    "state": VALUES,
    "from": VALUES | st.fixed_dictionaries({"epoch": st.text(max_size=3), "v": NUMBERS}),
}
V0_DATA = {
    "streamName": NAMES | VALUES,
    "groupId": NAMES | VALUES,
    "id": NAMES | VALUES,
    "subscriptionId": st.text(max_size=3) | VALUES,
}
V0_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["join", "leave", "message", "x", None]),
    "data": st.fixed_dictionaries({}, optional=V0_DATA) | VALUES,
}


def encoded(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode(errors="replace")


def safe(value: Any) -> Any:
    """The value without integers that JSON's encoder refuses."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return float(value)
    if isinstance(value, list):
        return [safe(one) for one in value]
    if isinstance(value, dict):
        return {str(key): safe(one) for key, one in value.items()}
    return value


def messages_of(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[str]:
    made = st.fixed_dictionaries({}, optional=members).map(lambda value: encoded(safe(value)))
    kept = st.sampled_from(KEPT) if KEPT else st.just("{}")
    cut = st.tuples(kept, st.integers(0, 200), st.text(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
    )
    return made | made | kept | cut | st.text(max_size=20)


def examples(config: pytest.Config) -> int:
    return int(config.getoption("--fuzz-examples"))


def fuzz(
    request: pytest.FixtureRequest, texts: st.SearchStrategy[list[Any]], run: Callable[[Any], None]
) -> None:
    """Run as many examples as this run is to have."""
    limits = settings(
        max_examples=examples(request.config),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        database=None,
    )
    limits(example(KEPT)(given(texts)(run)))()


async def converse(open_session: Callable[[HandSocket], Session], texts: list[str]) -> HandSocket:
    """A session that is told all of them, and its socket after it."""
    socket = HandSocket(10_000)
    socket.session = open_session(socket)
    for text in texts:
        if socket.full:
            socket.read(1000)
        socket.session.message(text)
        await turns(2)
    await turns(10)
    for payload in socket.read(10_000):
        assert orjson.loads(payload)
    socket.ended = True
    socket.session.closed()
    await turns(3)
    return socket


def test_a_session_of_v1_takes_anything(request: pytest.FixtureRequest) -> None:
    def run(texts: list[str]) -> None:
        async def conversation() -> None:
            stage = V1Stage(socket=SocketSettings(max_subscriptions=3, max_state_bytes=100))
            await stage.set("a", n=1)
            await converse(stage.open, texts)
            assert stage.durable.hub.groups == stage.fleeting.hub.groups == []
            await stage.close()

        asyncio.run(conversation())

    fuzz(request, st.lists(messages_of(V1_MEMBERS), max_size=8), run)


def test_a_session_of_v0_takes_anything(request: pytest.FixtureRequest) -> None:
    def run(texts: list[str]) -> None:
        async def conversation() -> None:
            stage = StreamStage()
            await stage.set("a", n=1)
            wire = stage.wire
            assert isinstance(wire, V0Wire)
            await converse(
                lambda socket: V0Session(
                    socket, wire, lambda _stream: stage.hub, OpenGate(), SocketSettings(max_subscriptions=3)
                ),
                texts,
            )
            assert stage.hub.groups == []
            await stage.close()

        asyncio.run(conversation())

    fuzz(request, st.lists(messages_of(V0_MEMBERS), max_size=8), run)


FRAMES = st.builds(
    lambda opcode, payload, fin, reserved, masked, size, width: frame(
        opcode, payload, fin=fin, reserved=reserved, masked=masked, size=size, width=width
    ),
    st.integers(0, 15),
    st.binary(max_size=130),
    st.booleans(),
    st.sampled_from([0, 0, 0, 1, 4]),
    st.sampled_from([True, True, True, False]),
    st.none() | st.integers(0, 127),
    st.sampled_from([None, None, None, 2, 8]),
)


def test_frames_are_read_or_refused_however_they_are_cut(request: pytest.FixtureRequest) -> None:
    def run(parts: list[Any]) -> None:
        data = b"".join(part if isinstance(part, bytes) else part.encode(errors="replace") for part in parts)
        whole, pieces = read([data]), read([data[at : at + 1] for at in range(len(data))])
        assert whole == pieces

    fuzz(request, st.lists(FRAMES | st.binary(max_size=20), max_size=5), run)


def read(pieces: list[bytes]) -> list[str]:
    """What came out of the bytes, up to the first violation."""
    inbound, found = Inbound(1000), []
    try:
        for piece in pieces:
            inbound.add(piece)
            while (arrival := inbound.next()) is not None:
                if not isinstance(arrival, Quiet):
                    found.append(repr(arrival))
    except Violation as violation:
        found.append(f"violation {violation.code}")
    return found
