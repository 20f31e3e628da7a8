"""A project given as text, for tests of the worker: imported in this process, or loaded by a real worker."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from headwater.protocol.workers.messages import Source
from headwater.testing.worker_driver import WorkerDriver
from headwater.worker.project.files import Sources
from headwater.worker.project.importing import Importer

COMMAND = [sys.executable, "-P", "-m", "headwater.worker"]
CHAT = 'config = {"name": "chat", "schema": None}\n'


def encoded(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    """The files as bytes, texts without their common indent."""
    return {
        path: text if isinstance(text, bytes) else textwrap.dedent(text).encode()
        for path, text in files.items()
    }


def sources(root: Path, files: Mapping[str, str | bytes]) -> Sources:
    return Sources(str(root), ["steps", "src"], encoded(files))


@contextlib.contextmanager
def imported(root: Path, files: Mapping[str, str | bytes]) -> Iterator[Importer]:
    """The import hooks for a project, in this process, while the block runs. Nothing is on the disk."""
    importer = Importer(sources(root, files))
    importer.install()
    try:
        yield importer
    finally:
        importer.uninstall()


@contextlib.contextmanager
def working(
    root: Path, files: Mapping[str, str | bytes], environment: Mapping[str, str] | None = None
) -> Iterator[WorkerDriver]:
    """A real worker that has loaded the project and a stream `chat`."""
    with WorkerDriver(COMMAND, environment=environment) as worker:
        given = {"steps/chat_stream.py": CHAT, **files}
        worker.load(root, [Source(path, content) for path, content in encoded(given).items()])
        yield worker


def step(name: str, body: str, *, top: str = "", plain: bool = False, **config: object) -> str:
    """The source of an API step; `body` is the body of its handler."""
    declared = {"type": "api", "name": name, "path": f"/{name}", "method": "POST", "emits": []} | config
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    kind = "def" if plain else "async def"
    return f"{textwrap.dedent(top)}\nconfig = {declared!r}\n\n{kind} handler(req, ctx):\n{lines}\n"
