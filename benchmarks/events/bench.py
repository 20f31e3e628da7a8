"""Events: how soon a handler begins after an awaited emit, and how many go through, beside POSTs that await a
durable set in the same run."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure.place import BENCHMARKS, WORK
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Row, Target, ratio
from benchmarks.measure.server import Server
from benchmarks.requests.bench import LOADS, measure

NAME = "events"
TITLE = "Events: emit to handler, events a second with 64 emitters, beside POSTs with a durable set"
EMITTERS = 64
PATIENCE = 300.0
TAKEN, TIMED = (WORK / "project" / ".headwater" / name for name in ("taken", "timed"))
EVENTS, POSTS, FEW, MANY = "events", "POSTs with a set", "100 queued", "many queued"


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds, timed, burst, many = (3, 200, 3000, 10_000) if quick else (7, 1000, 10_000, 100_000)
    steps = sorted((BENCHMARKS / "events" / "steps").glob("*.py"))
    with headwater(also=steps) as server:
        _burst(server, 500)
        rows = [_round(server, timed, burst) for _ in range(rounds)]
        sizes = {FEW: _rate(server, 100, many // 100), MANY: _rate(server, many, 1)}
    targets = [
        Target("emit to handler p50, of a POST's", ratio(rows, EVENTS, POSTS, "p50 ms"), "at most", 1.5),
        Target("events/s, of POSTs/s", ratio(rows, EVENTS, POSTS, "each second"), "at least", 0.8),
        Target("time of an event among many, of one among 100", sizes[FEW] / sizes[MANY], "at most", 1.2),
    ]
    shown = [_median(rows, name) for name in (EVENTS, POSTS)]
    shown += [
        {"what": f"{name} ({many if name == MANY else 100})", "each second": sizes[name]} for name in sizes
    ]
    notes = [
        f"{rounds} rounds; latencies one at a time, rates with {EMITTERS} emitters or connections",
        "an event counts once its handler has run; SQLite with synchronous=FULL",
    ]
    return Result(NAME, TITLE, shown, targets, notes)


def _round(server: Server, timed: int, burst: int) -> dict[str, Row]:
    posts = measure(LOADS[1], server, 2.0)
    return {
        EVENTS: {"p50 ms": _emit_latency(server, timed), "each second": _burst(server, burst)},
        POSTS: {"p50 ms": _post_latency(server, timed), "each second": posts["requests/s"]},
    }


def _burst(server: Server, size: int) -> float:
    """So many events through, in events a second."""
    before = _size(TAKEN)
    began = time.perf_counter()
    _post(
        http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE),
        "/burst",
        n=size,
        emitters=EMITTERS,
    )
    _until(lambda: _size(TAKEN) >= before + size)
    return size / (time.perf_counter() - began)


def _rate(server: Server, size: int, times: int) -> float:
    return statistics.median(_burst(server, size) for _ in range(min(times, 50)))


def _emit_latency(server: Server, times: int) -> float:
    before = len(TIMED.read_text().splitlines()) if TIMED.exists() else 0
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for _ in range(times):
        _post(connection, "/one")
    _until(lambda: TIMED.exists() and len(TIMED.read_text().splitlines()) >= before + times)
    return statistics.median(map(float, TIMED.read_text().splitlines()[before:])) * 1000


def _post_latency(server: Server, times: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    taken: list[float] = []
    for number in range(times):
        began = time.perf_counter()
        _post(connection, "/say", id=f"item-{number}", n=1, pad="x" * 70)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def _post(connection: http.client.HTTPConnection, path: str, **body: object) -> None:
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered with {answer.status}")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise RuntimeError(f"not all events were handled within {PATIENCE:g} s")
        time.sleep(0.002)


def _median(rows: list[dict[str, Row]], name: str) -> Row:
    keys = ("p50 ms", "each second")
    return {"what": name, **{key: statistics.median(float(each[name][key]) for each in rows) for key in keys}}
