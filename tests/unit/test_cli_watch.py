"""What `headwater watch` draws where there is little room."""

from __future__ import annotations

import io

from rich.console import Console

from headwater.cli.watch import Screen, Watched
from headwater.client import connect


def test_the_widest_column_gives_way_to_those_that_fit() -> None:
    url = "http://127.0.0.1:1"
    screen = Screen(Watched(url, None, "orders", "all", None), connect(url), height=20)
    progress = {"done": 20, "total": 20, "percent": 100.0, "rate": 9.59, "eta": 0.0}
    screen.take([{"id": "order-0001", "sku": "flaky\nlamp", "status": "billed", "progress": progress}])
    drawn = io.StringIO()
    Console(file=drawn, width=60, color_system=None).print(screen.render())
    head, names, row, *rest = drawn.getvalue().splitlines()
    assert head.endswith("1 item")
    assert names.split() == ["id", "sku", "status", "progress"]
    assert row.startswith("order-0001  flaky")
    assert "billed  {" in row
    assert row.rstrip().endswith("…")
    assert rest == []
