"""What a well-behaved client sees while one or more others attack: how long its posts and the frames that
come of them take, quiet and under each attack, and what memory the server has taken and given back."""

from __future__ import annotations

import subprocess
import time

from benchmarks.attacks.attackers import ATTACKS
from benchmarks.measure.dialect import V1
from benchmarks.measure.place import PROJECT, PYTHON, allow_many_files
from benchmarks.measure.product import headwater
from benchmarks.measure.report import Result, Row, Target, percentile
from benchmarks.measure.roundtrip import Client
from benchmarks.measure.server import Server

NAME = "attacks"
TITLE = "A well-behaved client under attack"
SECONDS, QUICK_SECONDS = 8.0, 3.0
PAUSE = 0.02
"""Between two posts: what is measured is how long each waits, not how many there can be."""
CALM_SECONDS = 12.0
MOST_MS = 250.0
MIB = 2**20


def run(*, quick: bool) -> Result:
    """Measure quiet, then under each attack, on one server."""
    allow_many_files()
    seconds = QUICK_SECONDS if quick else SECONDS
    rows: list[Row] = []
    with headwater(store="memory:") as server:
        began = server.memory()
        quiet = measure(server, "none", seconds)
        rows.append(quiet)
        rows += [measure(server, name, seconds) for name in ATTACKS]
        time.sleep(CALM_SECONDS)
        after = measure(server, "none, afterwards", seconds)
        rows.append(after)
        grown = (server.memory() - began) / MIB
    most = max(3 * float(quiet["p99 ms"]), MOST_MS)
    targets = [Target(f"p99 ms, {row['attack']}", float(row["p99 ms"]), "at most", most) for row in rows[1:]]
    targets.append(Target("MB more than at the start", grown, "at most", 100))
    notes = ["each attack is made again and again by a process of its own, on the same two cores"]
    return Result(NAME, TITLE, rows, targets, notes)


def measure(server: Server, attack: str, seconds: float) -> Row:
    """Post and listen for so long while the attack goes on."""
    attacker = None
    if attack in ATTACKS:
        command = [PYTHON, "-m", "benchmarks.attacks.attackers", str(server.port), attack, str(seconds)]
        attacker = subprocess.Popen(command, cwd=PROJECT)
    took: list[float] = []
    memory = 0
    try:
        client = Client(server.port, "/say", V1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            took.append(max(client.round_trip()) * 1000)
            memory = max(memory, server.memory())
            time.sleep(PAUSE)
        client.close()
    finally:
        if attacker is not None:
            attacker.kill()
            attacker.wait()
    time.sleep(1)
    return {
        "attack": attack,
        "posts": len(took),
        "p50 ms": percentile(took, 0.5),
        "p99 ms": percentile(took, 0.99),
        "worst ms": max(took),
        "RSS most MB": memory / MIB,
        "RSS after MB": server.memory() / MIB,
    }
