"""How often somebody may do something: so many times a second over time, and a number at once. Pure: told the
time by a clock that is passed in.

One number is kept for each who did it lately, and for a bounded number of them. Nothing is done by a timer,
so nothing costs more as there are more. Who is forgotten for want of room had not come for longest, so has
earned the most anew.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

MOST_KNOWN = 20_000
"""Of those whose rate is kept, about 200 bytes each."""


_ROUNDING = 1e-6
"""Seconds that sums of times may be off by."""


class Rates:
    """The rates of one kind. `burst` is how many may come at once, before `per_second` counts."""

    __slots__ = ("_full_at", "_most", "_now", "_pause", "_window", "burst", "per_second")

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        now: Callable[[], float] = time.monotonic,
        most: int = MOST_KNOWN,
    ) -> None:
        self.per_second = per_second
        self.burst = burst
        self._now = now
        self._most = most
        self._pause = 1.0 / per_second
        self._window = (burst - 1) * self._pause
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        """When each will have earned all of its burst again, the first who came longest ago."""

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: Hashable) -> float:
        """Do it once. Answers 0.0 where that may be, else in how many seconds it may; then nothing was
        taken."""
        now = self._now()
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at - now - self._window
        if wait > _ROUNDING:
            return wait
        self._full_at[key] = full_at + self._pause
        self._full_at.move_to_end(key)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Let two go that have earned all again, and whoever is above the bound."""
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now and len(self._full_at) <= self._most:
                return
            del self._full_at[oldest]
            if not self._full_at:
                return


@lru_cache(1024)
def network_of(text: str) -> str:
    """By what an address is counted: one of IPv4 is itself, one of IPv6 the network that a household gets,
    its first 64 bits, within which anybody has any number. Empty where it is none."""
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return network_of(str(address.ipv4_mapped))
        return str(IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)
