"""Limits that are met, in the log: whoever runs the server learns which setting refused whom, and a flood is
told as a number. Owns which limits are worth a line; knows nobody who meets one.
"""

from __future__ import annotations

import logging

from headwater.logline import Line, tell
from headwater.observe import Observer

log = logging.getLogger("headwater.limits")

QUIET = frozenset(
    {
        "socket.ping_timeout",
        "socket.stall_timeout",
        "streams.max_presence_left",
        "streams.max_window",
        "streams.rings_bytes",
        "streams.snapshots_bytes",
    }
)
"""Limits within which a busy server works: nobody is refused anything, or has gone already."""


class LimitLog(Observer):
    """Tells the log."""

    light = True

    def limited(self, setting: str, limit: float) -> None:
        """See Observer."""
        if setting not in QUIET:
            section, _, name = setting.partition(".")
            line = Line(flood=f"limit {setting}")
            tell(log, logging.WARNING, line, "A limit was met: [%s] %s, which is %g", section, name, limit)
