"""A process for a step that blocks: the time until it can run something, and the memory that it adds.

Processes are started as the server starts them, with two projects: one whose files import nothing, and one
that imports what many do. Memory is the proportional set size: what is shared is divided among those that do.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.measure.report import Result, Row, Target
from headwater.protocol.workers.messages import Source
from headwater.steps.workers.languages import python_command
from headwater.testing.worker_driver import WorkerDriver

NAME = "blocking"
TITLE = "A process for each step that blocks"
TOGETHER = 20
"""How many stand beside one another when their memory is measured."""
SOURCE = """
{imports}
config = {{"type": "api", "name": "Slow", "path": "/slow", "method": "POST", "emits": []}}

async def handler(req, ctx):
    return {{"status": 200, "body": {{}}}}
"""
PROJECTS = {"imports nothing": "", "imports httpx and pydantic": "import httpx, pydantic"}


def run(*, quick: bool) -> Result:
    """Measure and judge."""
    rounds = 5 if quick else 20
    rows = [measure(name, imports, rounds) for name, imports in PROJECTS.items()]
    small = rows[0]
    return Result(
        NAME,
        TITLE,
        rows,
        [
            Target(
                "ms until a process can run a step, imports nothing",
                float(small["start p50 ms"]),
                "at most",
                250,
            ),
            Target("MB for each process, imports nothing", float(small["PSS MB each"]), "at most", 25),
        ],
        [f"{rounds} starts, one after another; memory of {TOGETHER} processes side by side"],
    )


def measure(name: str, imports: str, rounds: int) -> Row:
    """Start processes one by one for the time, then side by side for the memory."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sources = [Source("steps/slow_step.py", SOURCE.format(imports=imports).encode())]
        times = [_start(root, sources) for _ in range(rounds)]
        with ExitStack() as stack:
            workers = [stack.enter_context(WorkerDriver(python_command())) for _ in range(TOGETHER)]
            for worker in workers:
                worker.load(root, sources)
            memory = [psutil.Process(worker.process.pid).memory_full_info() for worker in workers]
    return {
        "project": name,
        "start p50 ms": statistics.median(times) * 1000,
        "start worst ms": max(times) * 1000,
        "PSS MB each": statistics.median(one.pss for one in memory) / 2**20,
        "private MB each": statistics.median(one.uss for one in memory) / 2**20,
    }


def _start(root: Path, sources: list[Source]) -> float:
    """Seconds from the start of a process to its manifest."""
    begun = time.perf_counter()
    with WorkerDriver(python_command()) as worker:
        worker.load(root, sources)
        return time.perf_counter() - begun
