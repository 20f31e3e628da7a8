"""What may be asked of a running server, by name: one table, which every door answers from.

Owns how a question finds its method. Knows no door: the socket of commands (`control/`) and the admin surface
over HTTP (`server/inspect/`) are two, and each says by itself who may come in.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from headwater import __version__
from headwater.errors import InvalidInput

Method = Callable[[Mapping[str, Any]], AsyncGenerator[Any]]
"""Answers a question with entries, which are JSON values; raises HeadwaterError."""

Methods = Mapping[str, Method]


async def answer(methods: Methods, name: str, args: Mapping[str, Any]) -> AsyncGenerator[Any]:
    """The entries that a method answers.

    :raises InvalidInput: there is no such method.
    :raises HeadwaterError: the method refuses.
    """
    method = methods.get(name)
    if method is None:
        raise InvalidInput(
            f"The server knows no {name[:100]!r}; it is Headwater {__version__}.",
            hint="Use the `headwater` command of the same version, or start the server again.",
        )
    async with contextlib.aclosing(method(args)) as entries:
        async for entry in entries:
            yield entry
