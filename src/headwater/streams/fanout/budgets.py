"""What all feeds of a server may hold in memory together. Owns no bytes itself."""

from __future__ import annotations

from typing import NamedTuple

from headwater.config import StreamSettings
from headwater.streams.fanout.ring import RingBudget
from headwater.streams.fanout.snapshots import Snapshots


class Budgets(NamedTuple):
    """Recent changes, and whole groups for wires that cannot resume."""

    rings: RingBudget
    snapshots: Snapshots

    @classmethod
    def of(cls, settings: StreamSettings) -> Budgets:
        """As the settings say."""
        rings = RingBudget(settings.rings_bytes, settings.ring_bytes)
        return cls(rings, Snapshots(settings.snapshots_bytes))
