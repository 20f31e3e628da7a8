"""A relay between clients and a server on this machine, which can fail in the ways that networks do."""

from __future__ import annotations

import asyncio
from typing import Self


class Relay:
    """Carries bytes both ways between those who connect to it and the server's port."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.port = 0
        self.carried = 0
        """How many connections there have been."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._flows = asyncio.Event()
        self._flows.set()

    async def listen(self, port: int = 0) -> None:
        """Take connections; before and after that they are refused."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Take no more connections, and cut those there are."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """End all connections without a word."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def freeze(self) -> None:
        """Let the connections there are stand for ever, and carry nothing: half-open ones. New ones work."""
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.carried += 1
        flows = self._flows
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to)
        self._writers += [writer, there_writer]
        for source, target in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, target, flows))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, flows: asyncio.Event
    ) -> None:
        try:
            while data := await source.read(65_536):
                await flows.wait()
                target.write(data)
                await target.drain()
        except ConnectionError:
            pass
        target.close()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
