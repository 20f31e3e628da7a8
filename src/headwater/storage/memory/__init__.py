"""The store in memory. `store.py` is its face; the other modules each own one structure of it."""

from headwater.storage.memory.store import MemoryStore

__all__ = ["MemoryStore"]
