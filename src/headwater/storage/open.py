"""Which store a setting names: the one table of schemes. Owns the reading of `[storage] url`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from headwater.config import Settings
from headwater.errors import ConfigError
from headwater.storage.base import Store
from headwater.storage.memory import MemoryStore
from headwater.storage.sqlite import SqliteStore


async def open_store(settings: Settings) -> Store:
    """Open the store that `[storage] url` names.

    :raises ConfigError: the url names no store.
    :raises StoreUnavailable: (or a subclass) the store cannot be opened.
    """
    scheme, colon, place = settings.storage.url.partition(":")
    opener = OPENERS.get(scheme) if colon else None
    if opener is None:
        known = ", ".join(f'"{name}:"' for name in OPENERS)
        raise ConfigError(
            f"[storage] url is {settings.storage.url!r}; it must begin with one of {known}.",
            hint='Keep the default "sqlite:.headwater/data.db", or use "memory:" to keep nothing.',
            setting="storage.url",
        )
    return await opener(place, settings)


async def _sqlite(place: str, settings: Settings) -> Store:
    if not place:
        raise ConfigError('[storage] url "sqlite:" lacks the path of a file.', setting="storage.url")
    file, synchronous = settings.project / place, settings.storage.synchronous
    return await SqliteStore.open(file, synchronous=synchronous, new_epoch=settings.new_epoch)


async def _memory(place: str, settings: Settings) -> Store:
    if place:
        raise ConfigError(f'[storage] url "memory:" takes no path, not {place!r}.', setting="storage.url")
    return MemoryStore()


OPENERS: dict[str, Callable[[str, Settings], Awaitable[Store]]] = {
    "sqlite": _sqlite,
    "memory": _memory,
}
"""Scheme to opener; a new store is one line."""
