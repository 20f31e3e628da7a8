"""One rule for the responses of steps: every gate on their way says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from headwater.response_rules import is_status
from support.response_gates import by_all

FIXTURE = Path(__file__).parents[2] / "spec" / "fixtures" / "responses.json"
CASES: dict[str, dict[str, list[Any]]] = {
    kind: cases for kind, cases in orjson.loads(FIXTURE.read_bytes()).items() if kind != "about"
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("verdict", ["allowed", "refused"])
def test_the_published_cases_hold_at_every_gate(kind: str, verdict: str) -> None:
    for case in CASES[kind][verdict]:
        response = {"statuses": 200, "names": "x", "values": "y", kind: case}
        allowed = by_all(response["statuses"], response["names"], response["values"])
        assert allowed == (verdict == "allowed"), (kind, case)


def test_a_truth_value_is_no_status() -> None:
    assert not is_status(True)
    assert not is_status(200.0)
