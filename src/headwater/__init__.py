"""Headwater: a server for live state."""

__version__ = "0.1.0"
