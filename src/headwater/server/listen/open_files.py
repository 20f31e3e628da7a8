"""How many connections this process can hold: each is an open file, and the system bounds those.

Without this, the first thing to fail above the system's limit would be whatever opens a file next: the store,
a worker, a page.
"""

from __future__ import annotations

import resource

KEPT_FREE = 256
"""Open files kept for everything that is no connection: workers, the store, pages, the log."""


def room_for_connections(wanted: int) -> int:
    """Raise this process's own limit as far as it is needed and may be; answers how many of `wanted` fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + KEPT_FREE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        raised = soft
    return max(1, min(wanted, raised - KEPT_FREE))
