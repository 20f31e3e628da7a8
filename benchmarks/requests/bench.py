"""Requests a second from 64 connections at once: a step that does nothing, and one that awaits a durable set;
beside Starlette on uvicorn, which answers the same requests without worker, checks and store."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from benchmarks.measure.peers import starlette
from benchmarks.measure.place import CLIENT_CORE
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Row, Target, median, ratio
from benchmarks.measure.server import Server
from benchmarks.measure.subscribers import ClientFailed, command

NAME = "requests"
TITLE = "Requests from 64 connections: a step that does nothing, a step with a durable set; beside Starlette"
CONNECTIONS = 64
OURS, PEER = "headwater", "starlette"


@dataclass(frozen=True)
class Load:
    """A request that is sent again and again; `least` is the share of the peer's rate to reach."""

    name: str
    method: str
    path: str
    least: float
    body: str | None = None

    @property
    def options(self) -> dict[str, object]:
        """As the load client wants them."""
        return {"method": self.method, "path": self.path} | ({"body": self.body} if self.body else {})


LOADS = [
    Load("no-op GET", "GET", "/noop", 0.7),
    Load("durable POST", "POST", "/say", 0.45, json.dumps({"id": "item-#", "n": 1, "pad": "x" * 70})),
]


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds, seconds = (3, 1.0) if quick else (9, 3.0)
    rows: list[dict[str, Row]] = []
    with headwater() as ours, starlette() as peer:
        pair = [(OURS, ours), (PEER, peer)]
        for number in range(rounds):
            turn = pair if number % 2 == 0 else pair[::-1]
            rows.append(
                {_key(load, name): measure(load, server, seconds) for load in LOADS for name, server in turn}
            )
    shown = [_row(rows, load, name) for load in LOADS for name in (OURS, PEER)]
    targets = [
        Target(
            f"{load.name}s/s, of Starlette's",
            ratio(rows, _key(load, OURS), _key(load, PEER), "requests/s"),
            "at least",
            load.least,
        )
        for load in LOADS
    ]
    notes = [
        f"{rounds} rounds in turn of {seconds:g} s each; a ratio is the median of those within each round",
        "load client and all processes of a server share the cores; SQLite with synchronous=FULL",
        "CPU is of the server process and of its workers together, per request",
    ]
    return Result(NAME, TITLE, shown, targets, notes)


def measure(load: Load, server: Server, seconds: float) -> Row:
    """Let the client send for a while.

    :raises ClientFailed: it lost a connection, or an answer had another status than 200.
    """
    words = command(
        "requests",
        port=server.port,
        connections=CONNECTIONS,
        seconds=seconds,
        warm_up=seconds / 3,
        **load.options,
    )
    with subprocess.Popen(
        ["taskset", "-c", str(CLIENT_CORE), *words], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout
        client.stdout.readline()
        own, every = server.own_cpu(), server.cpu()
        said = client.stdout.readline()
        own, every = server.own_cpu().since(own), server.cpu().since(every)
    if not said:
        raise ClientFailed(f"the load client lost {server.name}")
    found = json.loads(said)
    if found["refused"]:
        raise ClientFailed(f"{server.name} answered {found['refused']} requests with another status than 200")
    each = 1e6 / found["answers"]
    return {
        "requests/s": found["answers"] / found["seconds"],
        "p50 ms": found["p50_us"] / 1000,
        "p99 ms": found["p99_us"] / 1000,
        "server user us": own.user * each,
        "server system us": own.system * each,
        "workers user us": (every.user - own.user) * each,
        "workers system us": (every.system - own.system) * each,
    }


def _key(load: Load, name: str) -> str:
    return f"{load.name}, {name}"


def _row(rounds: list[dict[str, Row]], load: Load, name: str) -> Row:
    rows = [each[_key(load, name)] for each in rounds]
    return {"request": load.name, "server": name, **{key: median(rows, key) for key in rows[0]}}
