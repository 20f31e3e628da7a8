"""The Python client: a store of what was received, without I/O, and the connection around it."""

from headwater.client.connection import Client, connect
from headwater.client.faults import CannotConnect, Refused, SubscriptionEnded
from headwater.client.reading import Changed, Event

__all__ = ["CannotConnect", "Changed", "Client", "Event", "Refused", "SubscriptionEnded", "connect"]
