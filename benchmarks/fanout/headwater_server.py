"""Headwater without HTTP in the way: the whole server, as `headwater start` runs it, fed by sets made in its
own process. Prints its port and takes orders on standard input, as the peers do.

An order is a line of JSON. `{"changes", "burst"}`: so many sets of one item, `burst` of them begun in each
turn of the loop; with `"alone"`, the next ones wait until everyone has been written to, so that nothing can
be joined. `{"changes", "writers"}`: the sets are made by that many writers, each with an item of its own,
each awaiting its set before it makes the next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

import orjson
import uvloop

from headwater.app import Running
from headwater.config import ServerSettings, Settings, StorageSettings, WorkerSettings
from headwater.lifetime import running
from headwater.model import Item, Origin
from headwater.server.inspect.meter import Meter

PROJECT = Path(__file__).parent.parent / "project"
STREAM, GROUP = "room", "g"
PAD = "x" * 70
ORIGIN = Origin("benchmark", "")
HIGH_WATER_BYTES = 256 * 1024
LOOKED_AT = 3
"""Sockets whose buffers are looked at before going on; the peers look at one."""


class Driver:
    """Makes the sets that an order asks for, no faster than the subscribers' sockets drain."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._left = 0

    def set(self, item: str, n: int) -> asyncio.Future[Item]:
        data = orjson.dumps({"n": n, "pad": PAD})
        return self._server.writer.set(STREAM, GROUP, item, data, origin=ORIGIN)

    async def run(self, order: dict[str, int]) -> None:
        if "writers" in order:
            self._left = order["changes"]
            await asyncio.gather(*(self._write(f"item-{number}") for number in range(order["writers"])))
        else:
            await self._publish(order["changes"], order["burst"], alone="alone" in order)

    async def _publish(self, changes: int, burst: int, *, alone: bool) -> None:
        for first in range(0, changes, burst):
            turn = [self.set("item", n) for n in range(first, min(first + burst, changes))]
            for done in turn:
                await done
            await self._drain()
            while alone and self._server.realms.durable.hub.pace.busy:
                await asyncio.sleep(0)

    async def _write(self, item: str) -> None:
        while self._left > 0:
            self._left -= 1
            await self.set(item, self._left)
            await self._drain()

    async def _drain(self) -> None:
        while any(size > HIGH_WATER_BYTES for size in self._buffered()):
            await asyncio.sleep(0.001)

    def _buffered(self) -> list[int]:
        some = zip(self._server.opening.sockets, range(LOOKED_AT), strict=False)
        return [socket.transport.get_write_buffer_size() for socket, _ in some]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default="memory:", help="as in the settings: memory: or sqlite:PATH")
    parser.add_argument("--heard", action="store_true", help="with the meter of the operator's page")
    options = parser.parse_args()
    settings = Settings(
        project=PROJECT,
        server=ServerSettings(port=0),
        storage=StorageSettings(url=options.store),
        workers=WorkerSettings(size=1),
    )
    async with running(settings) as server:
        if options.heard:
            server.observers.add(Meter())
        driver = Driver(server)
        await driver.set("item", -1)
        print("ready", server.server.port, flush=True)
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            await driver.run(json.loads(line))


if __name__ == "__main__":
    uvloop.run(main())
