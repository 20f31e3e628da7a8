"""What the Python client spends on a change, in a group of 100 items and in one of 10,000; and on a snapshot.

The peer is the same change in the small group: what a change costs must not depend on what is held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import orjson

from benchmarks.measure.report import Result, Row, Target, median, ratio
from headwater.client.store import ClientStore
from headwater.client.subscription import Subscription

NAME = "python_client"
TITLE = "A change in the Python client (text of a frame to what is held, 150-byte items)"
SMALL, LARGE = 100, 10_000
CHANGES = 2_000
COLUMNS = ("CPU us", "snapshot CPU us")
KINDS = ("set", "create and delete", "append")


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds: list[dict[str, Row]] = []
    for _ in range(5 if quick else 15):
        rounds.append({f"{kind}, {size:,}": measure(kind, size) for kind in KINDS for size in (SMALL, LARGE)})
    rows = [
        {**row, **{name: median([each[key] for each in rounds], name) for name in COLUMNS}}
        for key, row in rounds[0].items()
    ]
    targets = [
        Target(
            f"{kind}, in {LARGE:,} items of that in {SMALL}",
            ratio(rounds, f"{kind}, {LARGE:,}", f"{kind}, {SMALL:,}", "CPU us"),
            "at most",
            1.5,
        )
        for kind in KINDS
    ]
    return Result(NAME, TITLE, rows, targets, [f"{len(rounds)} rounds of {CHANGES} changes each; medians"])


def measure(kind: str, size: int) -> Row:
    """CPU time of one change, and of one snapshot of all items."""
    store, subscription = filled(size)
    frames = list(changes(kind, size))
    changing = _cpu(lambda: [store.received(frame) for frame in frames])
    looking = _cpu(lambda: [subscription.state.items() for _ in range(10)])
    assert len(subscription.state.items()) == size
    return {
        "change": kind,
        "items held": size,
        "CPU us": changing / len(frames) * 1e6,
        "snapshot CPU us": looking / 10 * 1e6,
    }


def filled(size: int) -> tuple[ClientStore, Subscription]:
    """A client that holds so many items and is live."""
    store = ClientStore()
    store.connected()
    subscription = store.subscribe("room", "g")
    page = [[n, n, item(n)] for n in range(1, size + 1)]
    for message in (
        {"t": "subscribed", "sub": 1, "f": 1, "epoch": "e"},
        {"t": "page", "sub": 1, "v": size, "items": page},
        {"t": "complete", "sub": 1, "v": size},
    ):
        store.received(orjson.dumps(message))
    return store, subscription


def item(number: int) -> dict[str, object]:
    """The n-th item."""
    return {"id": f"i{number}", "n": number, "text": "x" * 110}


def changes(kind: str, size: int) -> Iterable[bytes]:
    """Frames of one kind of change, over the items in turn."""
    for number in range(CHANGES):
        version, which = size + 1 + number, number % size + 1
        match kind:
            case "set":
                frame = {"t": "set", "f": 1, "v": version, "c": which, "d": item(which)}
            case "append":
                frame = {"t": "patch", "f": 1, "v": version, "i": f"i{which}", "o": [["a", ["text"], "y"]]}
            case _ if number % 2 == 0:
                frame = {"t": "set", "f": 1, "v": version, "c": version, "d": item(version)}
            case _:
                frame = {"t": "gone", "f": 1, "v": version, "i": f"i{version - 1}"}
        yield orjson.dumps(frame)


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
