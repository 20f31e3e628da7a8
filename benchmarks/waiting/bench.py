"""Events that wait: what they cost a server while nothing of them is due, and at its start."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable

from benchmarks.measure.place import BENCHMARKS, WORK
from benchmarks.measure.product import again, headwater
from benchmarks.measure.report import Result, Row, Target
from benchmarks.measure.server import Server
from headwater.control.client import ask

NAME = "waiting"
TITLE = "Events that wait: for another try, and for their time over a restart"
STEPS = sorted((BENCHMARKS / "waiting" / "steps").glob("*.py"))
LONG = "86400"
"""Seconds until another try: longer than the benchmark takes."""
PATIENCE = 900.0
QUIET, NOISY = "none", "retrying"


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    retrying, queued, window = (500, 2000, 5.0) if quick else (10_000, 100_000, 60.0)
    settings = {"HEADWATER_WORK_RETRY_FIRST": LONG, "HEADWATER_WORK_RETRY_MOST": LONG}
    with headwater(also=STEPS, env=settings) as server:
        still = _cpu(server, window)
        _crowd(server, "bench.bad", retrying)
        _until(lambda: _queue("Bad")["retrying"] == retrying)
        waiting = _cpu(server, window)
    with headwater(also=STEPS) as server:
        _crowd(server, "bench.late", queued)
        _until(lambda: _queue("Late")["waiting"] == queued)
    full = _start()
    empty = _empty_start()
    rows: list[Row] = [
        {"events": QUIET, "count": 0, "CPU ms/s": still, "start s": empty[0], "MB": empty[1]},
        {"events": NOISY, "count": retrying, "CPU ms/s": waiting},
        {"events": "queued", "count": queued, "start s": full[0], "MB": full[1]},
    ]
    targets = [
        Target("CPU of the server with retrying events, ms/s more", waiting - still, "at most", 2.0),
        Target("start with queued events, s more", full[0] - empty[0], "at most", 5.0),
        Target("memory with queued events, MB more", full[1] - empty[1], "at most", 150.0),
    ]
    notes = [
        f"CPU is that of the server process over {window:g} s in which nothing comes due",
        "a start lasts from the process until its port answers; memory is resident, of the server process",
    ]
    return Result(NAME, TITLE, rows, targets, notes)


def _cpu(server: Server, window: float) -> float:
    """Milliseconds of CPU that the server process takes in a second of doing nothing."""
    time.sleep(2.0)
    before, began = server.own_cpu().total, time.perf_counter()
    time.sleep(window)
    return (server.own_cpu().total - before) * 1e3 / (time.perf_counter() - began)


def _start() -> tuple[float, float]:
    """Seconds until the server answers on the store that is there, and MB that it holds then."""
    began = time.perf_counter()
    with again() as server:
        return time.perf_counter() - began, server.memory() / 1e6


def _empty_start() -> tuple[float, float]:
    began = time.perf_counter()
    with headwater(also=STEPS) as server:
        return time.perf_counter() - began, server.memory() / 1e6


def _crowd(server: Server, topic: str, count: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    body = json.dumps({"topic": topic, "n": count})
    connection.request("POST", "/crowd", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    connection.close()


def _queue(step: str) -> dict[str, int]:
    return next(queue for queue in ask(WORK / "project", "queue.list") if queue["step"] == step)


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
