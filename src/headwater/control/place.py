"""Where a project's control socket lies, and whose it is. Owns the files in `.headwater/`, their permissions,
and how a path is used that is longer than a socket's address may be. Knows nothing of what is said.

- `control.lock` is locked by the server as long as it lives, however it ends. So whoever has the lock may
  take away a socket that a dead server left.
- `control.sock` is the socket, for its owner alone: mode 0600 in a folder of mode 0700.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from headwater.errors import AlreadyRunning

FOLDER = ".headwater"
SOCKET = "control.sock"
LOCK = "control.lock"

MOST_ADDRESS_BYTES = 103
"""A socket's path in bytes: 104 with the final zero on macOS and BSD, 108 on Linux."""


def folder_of(project: Path) -> Path:
    """Where a project keeps what is the server's."""
    return project / FOLDER


class ControlPlace:
    """A server's right to the control socket of a project, from the making of this object until `leave`."""

    def __init__(self, project: Path) -> None:
        """Take it, with the folder where there is none yet.

        :raises AlreadyRunning: another server has it.
        :raises OSError: the folder cannot be written.
        """
        self._folder = folder_of(project)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip()
            os.close(self._lock)
            raise _held(project, holder) from None
        with suppress(OSError):  # On a full disk the lock holds without it.
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def bind(self) -> socket.socket:
        """A new socket there, instead of one that a dead server left; it does not listen yet.

        :raises OSError: it cannot be made.
        """
        path = self._folder / SOCKET
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _with_address(path, made.bind)
            path.chmod(0o600)
        except BaseException:
            made.close()
            raise
        return made

    def leave(self) -> None:
        """Take the socket away and give the place up. The lock file stays: its next holder may have it
        already."""
        with suppress(OSError):
            (self._folder / SOCKET).unlink(missing_ok=True)
        os.close(self._lock)


def connect(project: Path, timeout: float) -> socket.socket:
    """A connection to the server of a project; `timeout` in seconds is for each later call, too.

    :raises OSError: there is none, or it is somebody else's.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    try:
        _with_address(folder_of(project) / SOCKET, made.connect)
    except BaseException:
        made.close()
        raise
    return made


def _with_address(path: Path, use: Callable[[str], None]) -> None:
    """Use the address of a socket. One that is too long is gone to through a short link, which is there for
    the moment alone: where the socket lies counts, not how it was reached."""
    address = str(path.absolute())
    if len(os.fsencode(address)) <= MOST_ADDRESS_BYTES:
        use(address)
        return
    with tempfile.TemporaryDirectory(prefix="hw-") as short:
        link = Path(short) / "p"
        link.symlink_to(path.absolute().parent, target_is_directory=True)
        use(str(link / path.name))


def _held(project: Path, holder: str) -> AlreadyRunning:
    by = f"process {holder}" if holder.isdigit() else "another process"
    return AlreadyRunning(
        f"A server runs for {project} already: {by}.",
        hint="Stop it first; for two servers of one project, start this one with --set server.control=off "
        "and another [storage] url.",
        **({"pid": int(holder)} if holder.isdigit() else {}),
    )
