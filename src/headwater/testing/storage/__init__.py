"""The conformance suite for stores: what every implementation of `headwater.storage.base.Store` has to pass.

The checks are plain async functions and need no test framework. Each takes a `Place`, where a store can be
opened, closed and opened again, and raises AssertionError when the store breaks the contract. A new store
passes them all, those in DURABLE_CHECKS if it survives its process:

    for check in CHECKS:
        await check(Place(open_my_empty_store))

`open_my_empty_store` opens the same place at each call; a fresh Place must be empty.
"""

from headwater.testing.storage.catching_up import CHECKS as CATCHING_UP
from headwater.testing.storage.durability import CHECKS as DURABLE_CHECKS
from headwater.testing.storage.names import CHECKS as NAMES
from headwater.testing.storage.no_history import CHECKS as NO_HISTORY
from headwater.testing.storage.outbox import CHECKS as OUTBOX
from headwater.testing.storage.place import Check, Place
from headwater.testing.storage.reading import CHECKS as READING
from headwater.testing.storage.scanning import CHECKS as SCANNING
from headwater.testing.storage.sweeping import CHECKS as SWEEPING
from headwater.testing.storage.terms import CHECKS as TERMS
from headwater.testing.storage.units import CHECKS as UNITS
from headwater.testing.storage.windows import CHECKS as WINDOWS
from headwater.testing.storage.writing import CHECKS as WRITING

CHECKS: tuple[Check, ...] = (
    *WRITING,
    *NAMES,
    *READING,
    *WINDOWS,
    *TERMS,
    *CATCHING_UP,
    *SWEEPING,
    *UNITS,
    *OUTBOX,
    *NO_HISTORY,
    *SCANNING,
)
"""What every store passes, durable or not."""

__all__ = ["CHECKS", "DURABLE_CHECKS", "Check", "Place"]
