"""The store on one SQLite file. `store.py` is its face; the other modules each own one concern of it."""

from headwater.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
