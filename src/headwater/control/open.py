"""Opening a server's control socket, as the settings say."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator

from headwater.config import Settings
from headwater.control.place import ControlPlace

log = logging.getLogger("headwater.control")


@contextlib.contextmanager
def control_place(settings: Settings) -> Generator[ControlPlace | None]:
    """The right to a project's control socket; None where it is turned off, or its folder cannot be written,
    which ends no server.

    :raises AlreadyRunning: another server of the project has it.
    """
    place = None
    if settings.server.control == "on":
        try:
            place = ControlPlace(settings.project)
        except OSError as error:
            log.warning(
                "`headwater queue`, `emit`, `cancel` and `limits` cannot reach this server: %s", error
            )
    try:
        yield place
    finally:
        if place is not None:
            place.leave()
