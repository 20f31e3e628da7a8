"""The server's end of the control socket: takes questions, one a connection, and answers them from a table.

Owns connections and their limits. What a method does is `operating/`'s; whoever reaches the socket may use
them all, which its permissions see to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any

from headwater.control.place import ControlPlace
from headwater.errors import HeadwaterError, Overloaded, TimedOut, TooLarge
from headwater.operating.messages import END, entry_line, error_line, read_question
from headwater.operating.table import Methods, answer

log = logging.getLogger("headwater.control")

MOST_CONNECTIONS = 16
ASK_SECONDS = 10.0
"""For how long a connection may take to ask."""
READ_SECONDS = 60.0
"""For how long one may leave what it was answered unread."""
END_SECONDS = 2.0
"""For how long an answer under way may take once the server ends."""


class ControlServer:
    """Answers on the control socket from `start` until `stop`. `line_bytes` is the longest question."""

    def __init__(self, place: ControlPlace, methods: Methods, line_bytes: int) -> None:
        self._place = place
        self._methods = methods
        self._line_bytes = line_bytes
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Answer from now on.

        :raises OSError: the socket cannot be made.
        """
        bound = self._place.bind()
        self._server = await asyncio.start_unix_server(self._meet, sock=bound, limit=self._line_bytes)

    async def stop(self) -> None:
        """Take no more questions, and end what is under way."""
        if self._server is not None:
            self._server.close()
        if self._open:
            await asyncio.wait(self._open, timeout=END_SECONDS)
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass  # It went, or reads no more.
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if len(self._open) > MOST_CONNECTIONS:
                raise Overloaded("Too many commands ask this server at once.", hint="Try again.")
            line = await self._line(reader)
            if not line:
                return
            async with contextlib.aclosing(self._answer(line)) as entries:
                async for entry in entries:
                    await self._write(writer, entry_line(entry))
            await self._write(writer, END)
        except HeadwaterError as error:
            await self._write(writer, error_line(error))
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            log.exception("A command could not be answered")
            broken = HeadwaterError("The server failed at this; see its log.")
            await self._write(writer, error_line(broken))

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await reader.readline()
        except TimeoutError:
            raise TimedOut(f"No question came within {ASK_SECONDS:g} s.", seconds=ASK_SECONDS) from None
        except ValueError:
            limit = self._line_bytes
            raise TooLarge(
                f"A question has more than {limit} bytes, which is the limit.", limit=limit
            ) from None

    async def _answer(self, line: bytes) -> AsyncGenerator[Any]:
        question = read_question(line)
        async with contextlib.aclosing(answer(self._methods, question.method, question.args)) as entries:
            async for entry in entries:
                yield entry

    @staticmethod
    async def _write(writer: asyncio.StreamWriter, line: bytes) -> None:
        writer.write(line)
        async with asyncio.timeout(READ_SECONDS):
            await writer.drain()
