"""Runs a real server under load and misfortune for a while; says whether every client ended with its state.

A process on SQLite, thousands of clients of both protocols and over server-sent events, writers; meanwhile
SIGKILL and clean restarts, reloads, items that expire, clients that stop reading or are cut off. In the end
all is let go: every client must hold what a plain GET tells, and who is present is who said so. On the way no
version may go back. Prints what it checked, with counts; the exit code is 0 only if all held.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from soak.dev_server import DevServer
from soak.pages import PRESENT, EventStreamPage, Page, Stored, V0Page, V1Page

SETTLE_SECONDS = 120.0
"""How long clients may take to catch up, once everything is let go."""
GROUPS = [
    (stream, f"g{number}")
    for stream, count in (("room", 15), ("rolled", 4), ("kept", 3), ("fleeting", 2))
    for number in range(count)
]
ITEMS = [str(number) for number in range(40)]


class Soak:
    """One run."""

    def __init__(self, server: DevServer, clients: int, seconds: float) -> None:
        self.server = server
        self.until = time.monotonic() + seconds
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.peak = 0
        makers: list[type[V0Page | V1Page | EventStreamPage]] = [
            *[V1Page] * 5,
            V0Page,
            V0Page,
            EventStreamPage,
        ]
        self.pages: list[Page] = [
            makers[number % len(makers)](server.url, self.counts, self.faults, GROUPS)
            for number in range(clients)
        ]
        self.http = httpx.AsyncClient(timeout=20)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.until

    async def run(self) -> bool:
        lives = [asyncio.create_task(page.live()) for page in self.pages]
        misfortunes = [self.write() for _ in range(8)]
        misfortunes += [self.kill(), self.stall(), self.cut(), self.reload(), self.grow(), self.measure()]
        await asyncio.gather(*misfortunes)
        for page in self.pages:
            page.reads.set()
        await self.write_to_all()
        wrong = await self.settle()
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        await self.http.aclose()
        self.tell(wrong)
        return not wrong and not self.faults

    # --- what happens ---

    async def write(self) -> None:
        while not self.over:
            stream, group = random.choice(GROUPS)
            writes = [
                self.one_write() | {"stream": stream, "group": group} for _ in range(random.randint(1, 8))
            ]
            await self.post(writes)

    def one_write(self) -> dict[str, Any]:
        item, number = random.choice(ITEMS), random.randrange(10**6)
        kind = random.choice(["set", "set", "grow", "append", "delete", "send"])
        match kind:
            case "set":
                return {"set": item, "data": {"n": number, "text": "x" * random.choice([10, 100, 2000])}}
            case "grow":
                return {"set": item, "data": {"list": list(range(number % 100))}}
            case "append":
                return {"update": item, "ops": [{"type": "append", "path": "log", "value": f"{number} "}]}
            case "delete":
                return {"delete": item}
            case _:
                return {"send": {"type": "typing", "data": number}}

    async def post(self, writes: list[dict[str, Any]]) -> bool:
        try:
            answer = await self.http.post(f"{self.server.url}/write", json={"writes": writes})
        except httpx.HTTPError:
            self.counts["writes lost with the server"] += 1
            await asyncio.sleep(0.3)
            return False
        self.counts[f"write requests answered {answer.status_code}"] += 1
        return answer.status_code == 204

    async def kill(self) -> None:
        while not self.over:
            await self.pause(5, 15)
            number = random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            await asyncio.to_thread(self.server.stop, number)
            await asyncio.to_thread(self.server.start)
            self.counts[f"server ended by {number.name}"] += 1

    async def stall(self) -> None:
        while not self.over:
            stalled = random.sample(self.pages, len(self.pages) // 10)
            for page in stalled:
                page.reads.clear()
            self.counts["clients that stopped reading"] += len(stalled)
            await self.pause(2, 6)
            for page in stalled:
                page.reads.set()

    async def cut(self) -> None:
        while not self.over:
            await self.pause(0.2, 1)
            random.choice(self.pages).cut()
            self.counts["clients cut off"] += 1

    async def reload(self) -> None:
        while not self.over:
            await self.pause(3, 8)
            self.server.reload()
            self.counts["reloads"] += 1

    async def grow(self) -> None:
        while not self.over:
            await self.pause(0.1, 0.5)
            page = random.choice(self.pages)
            if isinstance(page, V1Page):
                await page.grow()
                self.counts["windows grown"] += 1

    async def measure(self) -> None:
        while not self.over:
            try:
                self.peak = max(self.peak, self.server.rss())
            except psutil.Error:
                pass
            await asyncio.sleep(0.2)

    async def pause(self, least: float, most: float) -> None:
        await asyncio.sleep(min(random.uniform(least, most), max(0.0, self.until - time.monotonic())))

    # --- how it ends ---

    async def write_to_all(self) -> None:
        """One more write to each group: nobody may be left at an older state."""
        for stream, group in GROUPS:
            write = {"stream": stream, "group": group, "set": "3", "data": {"last": True}}
            while not await self.post([write]):
                pass

    async def stored(self) -> Stored:
        stored: Stored = {}
        for stream, group in [*GROUPS, *(("present.presence", group) for group in PRESENT)]:
            answer = await self.http.get(f"{self.server.url}/streams/{stream}/{group}")
            stored[stream, group] = answer.json()["items"]
        return stored

    async def settle(self) -> list[str]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            await asyncio.sleep(1)
            stored = await self.stored()
            wrong = [found for page in self.pages if (found := page.differs(stored))]
            wrong += self.judge_presence(stored)
            if not wrong or time.monotonic() > deadline:
                self.counts["items in the store"] = sum(map(len, stored.values()))
                return wrong

    def judge_presence(self, stored: Stored) -> list[str]:
        """Who is there is each page that said so, once."""
        wrong: list[str] = []
        for group in PRESENT:
            there = sum(isinstance(page, V1Page) and page.present == group for page in self.pages)
            self.counts[f"pages present in {group}"] = there
            if len(found := stored["present.presence", group]) != there:
                wrong.append(f"{len(found)} are present in {group}, not {there}")
        return wrong

    def tell(self, wrong: list[str]) -> None:
        for name, count in sorted(self.counts.items()):
            print(f"{count:>14,}  {name}")
        print(f"{self.peak / 2**20:>14,.0f}  MiB: the server's highest resident memory")
        for fault in (self.faults + wrong)[:20]:
            print("WRONG:", fault)
        equal = len(self.pages) - len(wrong)
        print(f"{equal} of {len(self.pages)} clients equal the store; {len(self.faults)} faults on the way.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--clients", type=int, default=2000, help="five of eight v1, two v0, one over events")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(f"{arguments.clients} clients, {arguments.seconds:g} seconds, seed {arguments.seed}", flush=True)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        server = DevServer(Path(folder) / "project")
        server.start()
        try:
            held = asyncio.run(Soak(server, arguments.clients, arguments.seconds).run())
        finally:
            server.stop()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
