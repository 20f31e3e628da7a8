"""What a server holds by kind: counted by whoever holds it, asked for when somebody reads."""

from __future__ import annotations

import pytest

from headwater.cli.held_report import amount, show_held
from headwater.errors import Limit
from headwater.holdings import Holding, Holdings

LIMIT = Limit("socket.unfinished_bytes", 100)


def test_each_kind_is_asked_only_when_somebody_reads() -> None:
    asked: list[int] = []
    holdings = Holdings()
    holdings.add("messages", LIMIT, lambda: asked.append(7) or asked[-1])
    assert asked == []
    assert holdings.read() == [Holding("messages", "bytes", 7, LIMIT)]
    assert asked == [7]


def test_a_kind_is_told_once() -> None:
    holdings = Holdings()
    holdings.add("messages", LIMIT, lambda: 0)
    with pytest.raises(ValueError, match="messages"):
        holdings.add("messages", LIMIT, lambda: 1)


@pytest.mark.parametrize(
    ("number", "unit", "told"),
    [
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1 << 20, "bytes", "1 MiB"),
        (1_300_000_000, "bytes", "1.21 GiB"),
        (50_000, "presences", "50,000 presences"),
    ],
)
def test_an_amount_has_its_unit(number: float, unit: str, told: str) -> None:
    assert amount(number, unit) == told


def test_what_is_near_its_bound_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"kind": kind, "unit": "bytes", "now": now, "limit": 100, "setting": "socket.unfinished_bytes"}
        for kind, now in (("messages", 85), ("bodies", 10))
    ]
    show_held(rows)
    printed = capsys.readouterr().out
    assert "messages: near what [socket] unfinished_bytes allows." in printed
    assert "bodies: near" not in printed
