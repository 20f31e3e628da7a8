"""The Python client: a store of what was received, without I/O, and the connection around it."""

from headwater.client.connection import (
    CannotConnect,
    Changed,
    Client,
    Event,
    Refused,
    SubscriptionEnded,
    connect,
)

__all__ = ["CannotConnect", "Changed", "Client", "Event", "Refused", "SubscriptionEnded", "connect"]
