"""Numbers that JSON cannot say, handed in by user code: refused there, and never the end of a worker."""

from __future__ import annotations

import math

import pytest

from headwater.errors import InvalidInput
from headwater.protocol.workers import messages as protocol
from headwater.worker import emit
from headwater.worker.members import check_terms

NO_SECONDS = [math.nan, math.inf, -math.inf, 10**400, -(10**5000)]


@pytest.mark.parametrize("number", NO_SECONDS, ids=["nan", "inf", "-inf", "10^400", "-10^5000"])
def test_seconds_that_are_no_number_are_refused(number: float) -> None:
    with pytest.raises(InvalidInput, match="delay"):
        emit.SERVICE.check("emit", {"topic": "t", "delay": number})
    with pytest.raises(InvalidInput, match="ttl"):
        check_terms({"ttl": number})


@pytest.mark.parametrize("number", [10**400, -(10**5000)], ids=["10^400", "-10^5000"])
def test_a_whole_number_that_nobody_can_read_is_refused(number: int) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        check_terms({"if_version": number})
    with pytest.raises(InvalidInput, match="too large"):
        protocol.encode(protocol.Message({"t": "call", "n": number}))


@pytest.mark.parametrize("text", ["plain", "half an emoji: \ud83d"])
@pytest.mark.parametrize(("number", "read"), [(math.nan, None), (math.inf, None), (2**70, float(2**70))])
def test_a_frame_is_read_whatever_numbers_and_texts_are_in_it(text: str, number: float, read: object) -> None:
    log = protocol.log("info", text, {"n": [number]}, protocol.Whose())
    (frame,) = protocol.encode(log)
    (message,) = protocol.Decoder("worker").feed(frame)
    assert message.header["fields"] == {"n": [read]}
