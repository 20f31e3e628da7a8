"""The errors that a client raises itself, and how it raises those of the server."""

from __future__ import annotations

from typing import Any

from headwater.errors import HeadwaterError


class CannotConnect(HeadwaterError):
    """No connection to the server within the time given."""

    code = "CANNOT_CONNECT"


class SubscriptionEnded(HeadwaterError):
    """The server has ended a subscription; `details` are what it said."""

    code = "SUBSCRIPTION_ENDED"


class Refused(HeadwaterError):
    """The server has refused what was asked, or could not be asked; `details["reason"]` is its code, or
    "OFFLINE"."""

    code = "REFUSED"


def as_error(kind: type[HeadwaterError], said: dict[str, Any]) -> HeadwaterError:
    """What the server said as an error of this client."""
    more = {key: value for key, value in said.items() if key not in ("code", "message")}
    return kind(str(said.get("message", "The server said no.")), reason=said.get("code", ""), **more)
