"""When a cron expression comes due, in a time zone. Pure but for the zone's own file; owns no timer.

An expression has 5 fields, or 6 with seconds first, as `steps/project/triggers/cron.py` checks it. Days on
which a clock is set forward or back are treated as Debian's cron does, by the library `cronsim`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from headwater.errors import ConfigError

LOCALTIME = Path("/etc/localtime")
"""Where Unix keeps the machine's zone."""

_SUNDAY_LAST = re.compile(r"-(SUN|0)(?=$|[,/])", re.IGNORECASE)
"""A range of weekdays that ends on Sunday, as people write it; to the library Sunday is also 7."""


def zone(name: str) -> tzinfo:
    """The zone of that name, as "Europe/Berlin"; "local" is the machine's own.

    :raises ConfigError: there is no such zone here.
    """
    if name == "local":
        return _local()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f'There is no time zone "{name}" on this machine.',
            hint='Write a name such as "Europe/Berlin" or "UTC" in [work] time_zone; where the machine has '
            "no zones at all, `pip install tzdata` brings them.",
        ) from None


@lru_cache(maxsize=1)
def _local() -> tzinfo:
    try:
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


def times(expression: str, where: tzinfo, after: float) -> Iterator[float]:
    """The wall times (seconds) at which an expression comes due, later than `after`, in order; none for one
    that never does, as the 31st of February."""
    try:
        yield from (
            at.timestamp() for at in CronSim(_normal(expression), datetime.fromtimestamp(after, where))
        )
    except CronSimError:
        return


def next_time(expression: str, where: tzinfo, after: float) -> float | None:
    """The first of `times`."""
    return next(times(expression, where, after), None)


def last_time(expression: str, where: tzinfo, upto: float) -> float | None:
    """The last time at which an expression came due, `upto` included; None for one that never did."""
    begin = datetime.fromtimestamp(upto + 1, where)
    try:
        found = (at.timestamp() for at in CronSim(_normal(expression), begin, reverse=True))
        return next((at for at in found if at <= upto), None)
    except CronSimError:
        return None


def _normal(expression: str) -> str:
    fields = expression.replace("?", "*").split()
    fields[-1] = _SUNDAY_LAST.sub("-7", fields[-1])
    return " ".join(fields)
