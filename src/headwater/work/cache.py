"""Jobs that wait, held in memory beside the store as long as they fit. Pure, no I/O."""

from __future__ import annotations

from headwater.work.job import Job

ENTRY_BYTES = 300
"""What a held job costs beside its texts: the tuple, numbers and names (measured, rounded up)."""


class JobCache:
    """Jobs that wait and their payloads, as long as they fit in so many bytes; the store has them all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0
        """Bytes."""
        self._held: dict[str, tuple[Job, bytes | None]] = {}

    def put(self, job: Job, payload: bytes | None = None) -> None:
        """Hold a job, if there is room."""
        payload = job.data if payload is None else payload
        size = _size(job, payload)
        if self.used + size <= self._limit and job.id not in self._held:
            self._held[job.id] = job, payload
            self.used += size

    def take(self, job: str) -> tuple[Job | None, bytes | None]:
        """A job that is held, and its payload; it is held no longer."""
        found = self._held.pop(job, None)
        if found is None:
            return None, None
        self.used -= _size(*found)
        return found


def _size(job: Job, payload: bytes | None) -> int:
    return ENTRY_BYTES + len(payload or b"") + len(job.auth or b"")
