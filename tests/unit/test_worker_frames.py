"""The golden frames of the worker protocol, which every implementation reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import ProtocolFault
from headwater.protocol.workers import messages as protocol

FIXTURE = Path(__file__).parents[2] / "spec" / "fixtures" / "worker-frames.json"
GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(FIXTURE.read_text())


def name(entry: dict[str, Any]) -> str:
    return str(entry["name"])


@pytest.mark.parametrize("entry", GOLDEN["frames"], ids=name)
def test_a_golden_frame_means_what_it_should_and_is_written_the_same(entry: dict[str, Any]) -> None:
    data = bytes.fromhex(entry["bytes"])
    (message,) = protocol.Decoder(entry["sender"]).feed(data)
    assert message.header == entry["header"]
    assert [bytes(section).hex() for section in message.sections] == entry["sections"]
    assert b"".join(protocol.encode(message)) == data


@pytest.mark.parametrize("entry", GOLDEN["refused"], ids=name)
def test_a_frame_that_ends_the_connection_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ProtocolFault):
        list(protocol.Decoder(entry["sender"]).feed(bytes.fromhex(entry["bytes"])))


def test_every_message_has_a_golden_frame() -> None:
    types = {(entry["sender"], entry["header"]["t"]) for entry in GOLDEN["frames"]}
    assert types == {
        *(
            ("server", kind)
            for kind in ("load", "streams", "invoke", "result", "withdraw", "cancel", "ping", "drain")
        ),
        *(
            ("worker", kind)
            for kind in (
                "hello",
                "manifest",
                "started",
                "call",
                "result",
                "withdrawn",
                "pong",
                "log",
                "blocked",
            )
        ),
    }
