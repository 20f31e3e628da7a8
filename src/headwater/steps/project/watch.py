"""Sees that the files of a project change. Knows no generation: it calls a function when something did.

Only folders that may hold sources are watched, so that a large `node_modules` costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

from headwater.envfile import ENV_FILE
from headwater.steps.project.sources import is_ignored, is_source

log = logging.getLogger("headwater.steps")

QUIET_MS = 30
"""Milliseconds without a change after which a burst of changes counts as over."""
BURST_MS = 400
"""Milliseconds after which a burst that does not end is acted upon anyway."""
RETRY_AFTER = 2.0
"""Seconds after which watching is tried again when the system refuses it."""
SETTLE_AFTER = 0.1
"""Seconds that the system gets to set its watches up."""
SETTINGS_FILE = "headwater.toml"

OnChange = Callable[[], None]


async def watch(root: Path, on_change: OnChange) -> None:
    """Call `on_change` after each burst of changes to the project's sources and its `.env`, until cancelled.

    It is also called once watching has begun, for what changed before; it must bear calls without a change.
    """
    polling = False
    while True:
        try:
            await _Watch(root, on_change, polling=polling).run()
        except Exception as fault:
            # Most often the limit on watches is reached; looking at the files again and again needs none.
            log.warning("The project cannot be watched (%s); its files are polled", _reason(fault))
            polling = True
            await asyncio.sleep(RETRY_AFTER)


class _Watch:
    """Watches the folders that are there when it begins; `run` returns when one comes or goes at the top."""

    def __init__(self, root: Path, on_change: OnChange, *, polling: bool) -> None:
        self._root = root
        self._on_change = on_change
        self._polling = polling
        self._folders = _folders(root)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Watch until the folders at the top change."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_top())
            if self._folders:
                group.create_task(self._watch_folders())
            group.create_task(self._begin())

    async def _begin(self) -> None:
        """What changed before the system watched is seen now."""
        await asyncio.sleep(SETTLE_AFTER)
        self._on_change()

    async def _watch_top(self) -> None:
        async for paths in self._changes([self._root], recursive=False):
            if self._root / SETTINGS_FILE in paths:
                log.warning("%s has changed; restart the server to use it", SETTINGS_FILE)
            if _folders(self._root) != self._folders:
                self._stop.set()
            elif any(path.name == ENV_FILE or is_source(path.name) for path in paths):
                self._on_change()

    async def _watch_folders(self) -> None:
        async for paths in self._changes(self._folders, recursive=True):
            if any(self._may_matter(path) for path in paths):
                self._on_change()

    def _may_matter(self, path: Path) -> bool:
        """Whether a changed path is a source, or a folder that may hold some."""
        inside = path.relative_to(self._root).parts if path.is_relative_to(self._root) else (path.name,)
        return not any(map(is_ignored, inside)) and (is_source(path.name) or not path.suffix)

    async def _changes(self, paths: Sequence[Path], *, recursive: bool) -> AsyncIterator[set[Path]]:
        found = awatch(
            *paths,
            watch_filter=None,
            debounce=BURST_MS,
            step=QUIET_MS,
            stop_event=self._stop,
            force_polling=self._polling or None,
            recursive=recursive,
        )
        async for changes in found:
            yield {Path(path) for _, path in changes}


def _folders(root: Path) -> list[Path]:
    """The folders at the top of the project that may hold sources."""
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not is_ignored(path.name))
    except OSError:
        return []


def _reason(fault: Exception) -> str:
    inner = getattr(fault, "exceptions", ())
    return _reason(inner[0]) if inner else str(fault) or type(fault).__name__
