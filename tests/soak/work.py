"""Emits to a real server under misfortune for a while; says whether every event that was accepted ended.

Steps in Python and TypeScript, standard and fifo, with retries, delays, keys, kept steps, chains and
reactions; meanwhile the server and its workers are killed, the server ends and begins, files change. In the
end all is let go: every job must be done or dead, none may have run twice at the same time, groups must have
kept their order, and nothing may be left. Prints what it counted; the exit code is 0 only if all held.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from headwater.control.client import ask
from headwater.errors import HeadwaterError
from soak.dev_server import DevServer
from soak.record import Asked, Record

PROJECT = Path(__file__).with_name("work_project")
STUCK_SECONDS = 90.0
"""What is left after so long without any attempt that says something will never end."""
EMITTERS = 12
STANDARD = ("Async", "Plain", "Node")
FIFO = ("Lane", "LaneNode")


class Soak:
    """One run."""

    def __init__(self, server: DevServer, folder: Path, record: Path, seconds: float) -> None:
        self.server = server
        self.folder = folder
        self.record = record
        self.until = time.monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.asked: dict[str, Asked] = {}
        self.http = httpx.AsyncClient(timeout=20)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.until

    async def run(self) -> bool:
        emitters = [self.emit(number) for number in range(EMITTERS)]
        await asyncio.gather(*emitters, self.mark(), self.kill_server(), self.kill_workers(), self.reload())
        await self.http.aclose()
        left = await self.settle()
        record = Record(self.record)
        faults = left + record.judge(self.asked, self.dead(), self.counts)
        self.counts["lines of attempts"] = len(record.lines)
        for name, count in sorted(self.counts.items()):
            print(f"{count:>14,}  {name}")
        for fault in faults[:20]:
            print("WRONG:", fault)
        print(f"{len(self.asked)} events were accepted; {len(faults)} faults.")
        return not faults

    # --- what happens ---

    async def emit(self, number: int) -> None:
        """Emit one event after the other; one whose answer is lost is emitted again with its key."""
        count = 0
        while not self.over:
            count += 1
            label, lane = f"{number}-{count}", f"group {number}" if number % 2 else None
            delay = random.choice([0, 0, 0.3, 2]) if lane is None else 0
            data = {
                "label": label,
                "beats": random.choice([0, 1, 5, 30]),
                "fails": random.choice([0, 0, 0, 1, 2, 9]),
                "dies": random.choice([0] * 49 + [1]),
                "more": "x" * random.choice([0, 3000]),
            }
            event = {"topic": "std" if lane is None else "lane", "data": data, "key": label}
            more = {"delay": delay} if lane is None else {"messageGroupId": lane}
            begun = time.time()
            await self.post("/ask", event | more)
            self.asked[label] = Asked(STANDARD if lane is None else FIFO, lane, begun + delay)
            await asyncio.sleep(random.choice([0.1, 0.5, 1]))

    async def mark(self) -> None:
        """Write items that a step reacts to. One whose answer is lost is written again as another version."""
        count = 0
        while not self.over:
            count += 1
            item = f"item{count % 3}"
            await self.post(f"/mark/{item}", {"number": count})
            self.asked[f"{item}/{count}"] = Asked(("React",))
            await asyncio.sleep(0.2)

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Ask until it is accepted."""
        while True:
            try:
                answer = await self.http.post(f"{self.server.url}{path}", json=body)
                if answer.status_code == 202:
                    return
                self.counts[f"requests answered {answer.status_code}"] += 1
            except httpx.HTTPError:
                self.counts["answers lost with the server"] += 1
            await asyncio.sleep(0.2)

    async def kill_server(self) -> None:
        while not self.over:
            await self.pause(3, 10)
            number = random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            await asyncio.to_thread(self.server.stop, number)
            await asyncio.to_thread(self.server.start)
            self.counts[f"server ended by {number.name}"] += 1

    async def kill_workers(self) -> None:
        while not self.over:
            await self.pause(1, 5)
            workers = self.server.workers()
            if workers:
                try:
                    random.choice(workers).kill()
                    self.counts["workers killed"] += 1
                except psutil.NoSuchProcess:
                    pass

    async def reload(self) -> None:
        while not self.over:
            await self.pause(2, 8)
            self.server.reload()
            self.counts["reloads"] += 1

    async def pause(self, least: float, most: float) -> None:
        await asyncio.sleep(min(random.uniform(least, most), max(0.0, self.until - time.monotonic())))

    # --- how it ends ---

    async def settle(self) -> list[str]:
        """Wait until nothing waits and nothing runs; answers what is left."""
        said, deadline = 0, 0.0
        while True:
            await asyncio.sleep(0.5)
            if (size := self.record.stat().st_size) != said:
                said, deadline = size, time.monotonic() + STUCK_SECONDS
            try:
                queues = await asyncio.to_thread(lambda: list(ask(self.folder, "queue.list")))
            except HeadwaterError as error:
                queues, left = [], [f"the server does not answer: {error.message}"]
            else:
                numbers = {one["step"]: one["waiting"] + one["running"] + one["retrying"] for one in queues}
                left = [f"{count} jobs are left of {name}" for name, count in numbers.items() if count]
            if not left or time.monotonic() > deadline:
                return left

    def dead(self) -> set[tuple[str, str]]:
        """The jobs that were given up, by step and label."""
        found: set[tuple[str, str]] = set()
        for letter in ask(self.folder, "queue.dead", limit=10_000):
            (shown,) = ask(self.folder, "queue.show", id=letter["id"])
            data = shown["data"]
            label = data["label"] if "label" in data else f"{data['id']}/{data['new']['number']}"
            found.add((letter["step"], label))
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak.work", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--keep", type=Path, help="a folder for the project, its log and the record, to look at"
    )
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(f"{EMITTERS} emitters, {arguments.seconds:g} seconds, seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        project, record = Path(folder) / "project", Path(folder) / "record"
        os.environ["SOAK_RECORD"] = str(record)
        server = DevServer(project)
        shutil.copytree(PROJECT, project, dirs_exist_ok=True)
        server.start()
        try:
            held = asyncio.run(Soak(server, project, record, arguments.seconds).run())
        finally:
            server.stop()
            if arguments.keep:
                shutil.copytree(folder, arguments.keep, dirs_exist_ok=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
