"""What all feeds of a server may hold in memory together. Owns no bytes itself."""

from __future__ import annotations

from typing import NamedTuple

from headwater.config import StreamSettings
from headwater.errors import Limit
from headwater.holdings import Holdings
from headwater.observe import SILENT, Observer
from headwater.streams.fanout.ring import RingBudget
from headwater.streams.fanout.snapshots import Snapshots


class Budgets(NamedTuple):
    """Recent changes, and whole groups for wires that cannot resume."""

    rings: RingBudget
    snapshots: Snapshots

    @classmethod
    def of(cls, settings: StreamSettings, observer: Observer = SILENT) -> Budgets:
        """As the settings say; who meets them is told."""

        def rings_full() -> None:
            observer.limited("streams.rings_bytes", settings.rings_bytes)

        def snapshots_full() -> None:
            observer.limited("streams.snapshots_bytes", settings.snapshots_bytes)

        return cls(
            RingBudget(settings.rings_bytes, settings.ring_bytes, rings_full),
            Snapshots(settings.snapshots_bytes, snapshots_full),
        )

    def tell_holdings(self, holdings: Holdings) -> None:
        """Tell of both."""
        rings = Limit("streams.rings_bytes", self.rings.limit)
        holdings.add("recent changes", rings, lambda: self.rings.used)
        snapshots = Limit("streams.snapshots_bytes", self.snapshots.limit)
        holdings.add("snapshots of old clients", snapshots, lambda: self.snapshots.used)
