"""The command's end of the control socket: asks the server of a project one question. Blocking, for a
process that does nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from headwater.control.place import connect
from headwater.errors import AccessDenied, NoServer, TimedOut
from headwater.operating.messages import Question, read_answer

ANSWER_SECONDS = 60.0
"""For how long the server may be silent."""


def ask(project: Path, method: str, **args: Any) -> Iterator[Any]:
    """Ask the server of a project, and answer the entries as they come.

    :raises NoServer: none runs there.
    :raises AccessDenied: it is another user's.
    :raises TimedOut: it does not answer.
    :raises HeadwaterError: it refuses.
    """
    try:
        with connect(project, ANSWER_SECONDS) as link, link.makefile("rb") as lines:
            with suppress(BrokenPipeError, ConnectionResetError):  # It refuses before it has read all.
                link.sendall(Question(method, args).encode())
            yield from read_answer(_until_reset(lines))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NoServer(
            f"No server runs for {project}.",
            hint="`headwater dev` or `headwater start` there begins one.",
            project=str(project),
        ) from None
    except PermissionError:
        raise AccessDenied(
            f"The server of {project} is another user's.",
            hint="Run the command as the user who runs the server.",
        ) from None
    except TimeoutError:
        raise TimedOut(
            f"The server of {project} did not answer within {ANSWER_SECONDS:g} s.",
            hint="It may be stopped or held up; look at its log.",
            seconds=ANSWER_SECONDS,
        ) from None


def _until_reset(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that come, however the connection ends."""
    with suppress(ConnectionResetError):
        yield from lines


def runs(project: Path) -> bool:
    """Whether a server of this user runs for a project."""
    try:
        connect(project, ANSWER_SECONDS).close()
    except OSError:
        return False
    return True
